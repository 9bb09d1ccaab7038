"""Inventory knows what exists: resources, their relations, owners and holds, and which source said so when.

It must not know samples, alerts or incidents: a resource's health is joined by those who know it.
"""
