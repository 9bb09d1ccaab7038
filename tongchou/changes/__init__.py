"""What we alter: changes with their consent and windows, and the deployments that other tools report.

Knows the inventory (what is touched), runbooks (how it is done) and the ledger; a repeated delivery is the same.
Must not know incidents, projects or assurance; who reads a change as a suspect follows its event.
"""
