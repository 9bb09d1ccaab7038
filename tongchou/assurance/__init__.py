"""What we can prove: DORA's five metrics; later controls, evidence, findings and the review pack.

Knows every room below it, all of them read only.
Must not be known by any room, and never counts missing data as a pass, nor as a zero.
"""
