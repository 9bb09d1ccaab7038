"""What the inventory gives out to other tools: what is gathered for them, and the texts and documents they read.

It must not know how a tool asks; it writes nothing but the serial numbers of zones.
"""
