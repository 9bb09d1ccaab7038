"""The catalogue: what sorts of things and relations come with the platform, and the standard fields of each. Pure.

It must not know the kinds that people define, nor any row: `inventory.kinds` knows both.
"""
