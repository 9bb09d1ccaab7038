"""A small shop of real processes that can really be broken, and the scenarios that break it.

Knows the platform's public HTTP interface and `tongchou.wire`, nothing else of ours.
Must not import a room: the platform learns about the shop only over HTTP, like from any stranger.
"""
