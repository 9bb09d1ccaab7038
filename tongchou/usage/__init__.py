"""What it consumes and what it earns: money now; capacity and carbon with forecast and budget beside each figure later.

Knows inventory, telemetry and alerting, all of them read only; a thing it speaks of is a ref and a span of time.
Must not know incidents, changes, projects or assurance, nor invent a price that no source states.
"""
