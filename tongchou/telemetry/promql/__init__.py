"""PromQL: one NumPy evaluator over blocks of series, with the semantics of Prometheus 3.

Knows expressions, windows and matching. Must not know where samples are kept, nor who asks.
"""
