"""Releases: versions that go through environments in batches, are watched, and come back by themselves.

`said`, `machine` and `draft` are pure; `setup` and `actions` write what people say, `engine` what the release itself
does, `content` binds consent to every run. Must not know how a step is done: that is a procedure of runbooks.
"""
