"""The command line: `tongchou serve | demo | agent | setup | migrate | <noun> <verb>`.

Knows: everything below. Imports late, so that `--help` is quick.
Must not: hold a rule of the domain.
"""
