"""What we promised: work breakdown, schedule, earned value, funds, day labour and quality.

Will know usage and everything below it, all of it read only; nothing is built here yet.
Must not know incidents, changes or assurance; they meet only through events and refs.
"""
