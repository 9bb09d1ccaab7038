"""How to act: procedures (versioned YAML), their plans, and durable runs with every step a row.

Knows inventory, telemetry and alerting; must not know incidents, changes or any page.
Touches the world only through a Runner.
"""
