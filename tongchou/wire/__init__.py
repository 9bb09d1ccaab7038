"""Wire formats that server and agent share: exposition text, remote_write.

Knows bytes and the standard library; must not know Django, NumPy, sockets or any other room.
"""
