"""Measures the ranking of suspects on recorded faults with a known cause, beside simple baselines."""
