"""Alertmanager's v2 API for silences, so that its clients (amtool, Grafana, Karma) can make and end them.

It must not decide anything: it reads and writes through alerting.
"""
