"""HAProxy over the Runtime API: a source of the inventory, and steps of procedures that drain, add and weigh servers.

Knows the Runtime API, core.http's guard and the Runner port; must not know any procedure, service or scenario.
"""
