"""What broke: response, timeline, ranked suspects with printed reasons, affected resources and callers.

Knows alert groups, the resource graph, telemetry, runbooks' suggestions and the ledger, all of them read only.
Must not know changes, projects or assurance (same floor or above): a deployment reaches it as a ledger event.
"""
