"""What we can prove: controls, evidence, findings, delivery measures and the review pack.

Will know every room below it, all of them read only; nothing is built here yet.
Must not be known by any room, and never counts missing data as a pass.
"""
