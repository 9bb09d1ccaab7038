"""What is measured: metrics in, kept, and asked for in PromQL; health of what is scraped.

Knows series, samples and endpoints of the inventory; must not know alerts, incidents, pages or HTTP views.
"""
