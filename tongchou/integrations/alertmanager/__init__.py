"""Alertmanager's v2 API, so that its clients (amtool, Grafana, Karma) see what fires and make and end silences.

It must not decide anything: it reads and writes through alerting.
"""
