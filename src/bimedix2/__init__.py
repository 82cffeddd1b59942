"""BiMediX2."""
