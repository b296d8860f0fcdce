"""Tests that use the command and the examples; those of the C++ code stand beside it."""
