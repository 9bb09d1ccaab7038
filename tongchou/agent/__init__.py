"""The edge forwarder: tail, scrape, buffer on disk, forward.

Knows: wire.
Must not: import anything else of ours, nor Django, numpy, pyarrow, chdb (under 60 MB resident).
"""
