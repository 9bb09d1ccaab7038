"""Checkov looks at plans, as a process of its own in its own environment; it is never imported, and never downloads."""
