"""One folder a vendor or protocol; each declares itself in integration.py.

Knows: the rooms below and one neighbour each.
Must not: be imported by any room.
"""
