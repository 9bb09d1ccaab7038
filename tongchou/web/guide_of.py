"""Which page of the guide explains a page of ours."""

from __future__ import annotations

# the first word of a page's URL name -> the page of the guide that explains it; "index" where none does
HELP = {
    "account": "sign-in",
    "alert": "alerting",
    "alerts": "alerting",
    "approval": "approvals",
    "approvals": "approvals",
    "calendar": "calendars",
    "calendars": "calendars",
    "cockpit": "start",
    "deployments": "concepts",
    "doctor": "operations",
    "event": "concepts",
    "events": "concepts",
    "explore": "metrics",
    "fields": "custom-fields",
    "improvement": "postmortem",
    "improvements": "postmortem",
    "inbox": "collaboration",
    "incident": "incident-room",
    "incidents": "incident-room",
    "jobs": "operations",
    "list": "lists",
    "logs": "logs",
    "map": "inventory",
    "nodes": "nodes",
    "people": "sign-in",
    "platform": "operations",
    "postmortem": "postmortem",
    "postmortems": "postmortem",
    "procedure": "procedures",
    "procedures": "procedures",
    "resource": "inventory",
    "resources": "inventory",
    "run": "procedures",
    "runs": "procedures",
    "settings": "settings",
    "silences": "alerting",
    "slo": "slo",
    "slos": "slo",
    "stand": "approvals",
    "storage": "retention",
    "window": "calendars",
}


def help_page(url_name: str) -> str:
    """Return the page of the guide that explains a page of ours, by its URL name."""
    return HELP.get(url_name.partition("-")[0], "index")
