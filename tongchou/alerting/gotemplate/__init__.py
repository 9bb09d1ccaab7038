"""The part of Go's text/template that rule files and notifications use, as a bounded interpreter.

It must not touch files, sockets or the database; the world is reached through the query callback alone.
"""
