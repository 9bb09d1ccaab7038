"""Log lines: what may come in, how they are written, the language they are searched with, and what a search gives.

Knows lines, streams and the log table; must not know who sent them, HTTP, or what an alert is.
"""
