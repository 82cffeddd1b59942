"""Evaluation: metrics with stated definitions, baselines beside every score."""
