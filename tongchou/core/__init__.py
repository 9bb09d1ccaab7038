"""Who did what, when: ledger, jobs, access, approvals, secrets, run-time settings, outgoing HTTP.

Knows: users, events, jobs, leases.
Must not know: any word of the domain (no resource, alert, incident).
"""
