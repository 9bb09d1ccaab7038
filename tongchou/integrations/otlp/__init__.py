"""OpenTelemetry's OTLP over HTTP: logs and metrics in.

Knows HTTP requests and the names of OpenTelemetry; must not decide anything about lines or samples itself.
"""
