"""OpenTelemetry's OTLP over HTTP: logs in.

Knows HTTP requests and the names of OpenTelemetry's attributes; must not decide anything about lines itself.
"""
