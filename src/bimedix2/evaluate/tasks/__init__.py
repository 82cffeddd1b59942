"""Benchmarks, one a file; each module has TASK or TASKS."""
