"""The pages: one module a stage of the engineer's work, templates, static files, the live stream.

Knows: every room below, read through its named reads and changed through its actions.
Must not: decide anything; write a model; be imported by anything but the root URLs and settings.
"""
