"""The shop's processes: standard library only, so that each one starts in a fraction of a second.

Knows orders, goods, replication and its own metrics.
Must not import anything of the platform, not even `tongchou.wire`.
"""
