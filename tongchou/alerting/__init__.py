"""Alerting knows what is wrong: rules, alerts and their groups, channels and notifications.

It must not know incidents, procedures, pages, nor how the telemetry store works.
"""
