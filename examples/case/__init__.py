"""Card fraud on a Dask cluster whose machines come and go: the runs, their figures, the report."""
