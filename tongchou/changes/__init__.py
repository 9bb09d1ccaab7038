"""What we alter: for now the deployments that other tools report, one row each, one event each.

Knows the inventory (which service was deployed) and the ledger; a repeated delivery is the same deployment.
Must not know incidents, projects or assurance; who reads a deployment as a suspect follows its event.
"""
