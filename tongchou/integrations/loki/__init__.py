"""Loki's protocols: push in (JSON, and protobuf in a snappy block), and the reads a log panel asks first.

Knows HTTP requests and the telemetry room's verbs and reads; must not decide anything about lines itself.
"""
