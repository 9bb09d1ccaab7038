"""What release tools send, one file a tool: each reads headers and a JSON body into what was told. Pure.

Knows the tools' words. Must not decide which service it is: the sender's rules do.
"""
