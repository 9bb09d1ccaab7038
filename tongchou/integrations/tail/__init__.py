"""Follows log files of this machine into the log table, over rotations and restarts, each whole line once.

Knows files, inodes and positions; must not decide anything about lines itself.
"""
