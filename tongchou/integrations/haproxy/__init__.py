"""HAProxy steps of procedures: servers drained, put in maintenance, added, weighted, over the Runtime API.

Knows the Runtime API, core.http's guard and the Runner port; must not know any procedure, service or scenario.
"""
