"""What a machine tells of itself, read the same way by the platform of its own machine and by the agent of any other.

Knows psutil, /proc and /sys, and answers in plain data; must not know Django, identity keys or any other room.
The one place in `wire` that touches the world: it reads, and never writes.
"""
