"""What it consumes: capacity, money and carbon, with forecast and budget beside each figure.

Will know inventory, telemetry and alerting, all of them read only; nothing is built here yet.
Must not know incidents, changes, projects or assurance, nor invent a price that no source states.
"""
