"""Suites of peers, run against the platform."""
