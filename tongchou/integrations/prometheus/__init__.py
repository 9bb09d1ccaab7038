"""Prometheus's own protocols: remote_write in, its HTTP query API out, http_sd for discovery.

Knows HTTP requests and the telemetry room's verbs and reads; must not decide anything about series or resources itself.
"""
