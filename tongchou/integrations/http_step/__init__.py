"""HTTP steps of procedures: one request to a target's own control interface, through the one door out.

Knows core.http and the Runner port; must not know any target, product or procedure.
"""
