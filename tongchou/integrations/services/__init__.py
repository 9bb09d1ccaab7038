"""Databases, queues and caches at addresses that somebody named: what they say of themselves when one says hello."""
