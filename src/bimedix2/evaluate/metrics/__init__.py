"""Metric functions without knowledge of tasks or models."""
