"""Worked examples; each folder runs on its own from the repository root."""
