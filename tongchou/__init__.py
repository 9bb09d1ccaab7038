"""Tongchou 统筹: the self-hosted operations ledger that closes the loop.

The rooms and the direction of imports are in ARCHITECTURE.md; CI holds them.
"""

__version__ = "0.2.0"
