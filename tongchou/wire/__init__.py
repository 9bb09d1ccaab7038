"""What server and agent share: wire formats (exposition text, remote_write), and how a machine is read.

Knows bytes and the standard library; must not know Django, NumPy or any other room. `host` alone touches the world.
"""
