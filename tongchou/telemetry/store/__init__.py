"""Where samples live: one module per way to reach ClickHouse, and the tables they share.

Knows SQL and the world behind it; must not know HTTP views, PromQL or any noun of another room.
"""
