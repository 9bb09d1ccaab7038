"""What a dashboard is: its definition, its variables, its layout, and the same in Grafana's words.

Pure: no database, no clock, no store. Rows of dashboards are written by telemetry.dashboard_actions.
It must not know a page.
"""
