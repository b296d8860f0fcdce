# SPDX-License-Identifier: Apache-2.0
"""What all engines share: a run as it is told to a cluster, and who decides where it is done.

An engine (Dask, ...) has workers of its own that come and go. In some of them Evergrove's workers
hold the rows, in one its coordinator decides, all of it in C++. An engine's part is to place these
two and to carry words between them:

    steward.py   decides who does what: a state machine without clock, network or imports
    orders.py    what it may ask of a worker, and how long it waits
    costs.py     sums up what a run did, and what it did twice
    peers.py     finds who cannot reach whom, so that it can be said
    run_spec.py  what a run is, as plain values that any engine can carry
    frames.py    partitions in an engine's memory, as a run knows and fetches them
    run_figures.py  what the coordinator says of the run, in a few numbers
    host.py      inside one of the engine's workers: starts and ends what the steward orders
"""
