"""Benchmarks: micro/ for kernels, compare/ for other libraries beside ours."""
