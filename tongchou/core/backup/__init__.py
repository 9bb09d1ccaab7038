"""Backups of everything this platform keeps: one file with a manifest, checked before it is believed.

Knows the relational store, the keys and the parts that rooms register; must not know what a part holds.
"""
