"""Runs Prometheus' own PromQL test scripts (promqltest) against the evaluator. See __main__ for what is counted."""
