"""Objectives: how much failure a service may have, how fast it spends that, and the rules that say so in time.

`budget`, `burn`, `forecast`, `rules` and `spec` are arithmetic and text only; `actions` writes, `reads` measures.
Must not know incidents, changes or money.
"""
