"""The agent of a machine: reads what it is and holds, and sends that to the platform. It reads, and changes nothing.

Knows: wire.
Must not: import anything else of ours, nor Django, numpy, pyarrow, chdb (under 60 MB resident).
"""
