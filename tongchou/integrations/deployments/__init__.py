"""Deployments reported by release tools, over one signed webhook.

Knows the changes room's actions; the sender proves itself by HMAC-SHA256 over the timestamp and the raw body.
Must not decide what a deployment means for an incident: that is read from the ledger.
"""
