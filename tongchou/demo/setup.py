"""Tells the platform about the shop, through the public API and nothing else. Repeating it changes nothing."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from tongchou.demo.client import Platform
from tongchou.demo.control import Shop
from tongchou.demo.rules import PROCEDURES, objectives, procedure
from tongchou.demo.topology import TEAM

NAME = "shop"
REVENUE = {
    "query": "sum(rate(shop_revenue_cny_total[$window]))",
    "currency": "CNY",
    "catch_up_seconds": 120,
}
SECRET = "shop-control"  # noqa: S105 - the name of a secret, not a secret
CHANNEL = "people"
OPERATOR, APPROVER = "operator", "approver"


@dataclass(frozen=True, slots=True)
class People:
    """Two people of the shop's team, each with a token; passwords only of accounts that were made now."""

    operator: Platform
    approver: Platform
    passwords: dict[str, str]


def missing(admin: Platform, path: str, field: str, value: str) -> bool:
    """Whether a list has no item with this value."""
    return all(each[field] != value for each in admin.items(path, limit=500))


def person(admin: Platform, name: str, role: str, passwords: dict[str, str]) -> Platform:
    """The platform as this person sees it; the account is made when it is missing."""
    password = secrets.token_urlsafe(12)
    if missing(admin, "/users", "username", name):
        admin.post("/users", {"username": name, "password": password, "role": role})
        passwords[name] = password
    body = {"name": "demo", "username": name, "scopes": ["all"], "expires_in_days": 1}
    return Platform(admin.url, admin.post("/tokens", body)["token"])


def people(admin: Platform) -> People:
    """The operator and the approver: nobody approves their own request."""
    passwords: dict[str, str] = {}
    operator = person(admin, OPERATOR, "operator", passwords)
    return People(operator, person(admin, APPROVER, "approver", passwords), passwords)


def connect(admin: Platform, shop: Shop, *, scrape_seconds: float) -> None:
    """Targets, procedures, the shop's control token, and its deployment events."""
    if missing(admin, "/teams", "name", TEAM):
        admin.post("/teams", {"name": TEAM})
    admin.put(f"/secrets/{SECRET}", {"value": shop.token})
    settings = {"url": shop.targets_url, "scrape_interval_seconds": scrape_seconds}
    source = {"kind": "http_sd", "settings": settings, "interval_seconds": 5}
    # The supervisor knows for certain: what it lists no more is gone, not out of sight.
    admin.put(f"/sources/{NAME}", source | {"missing_after": 2, "grace_seconds": 5})
    for name in PROCEDURES:
        admin.put_yaml(f"/procedures/{name}", procedure(name))
    logs = admin.post("/tokens", {"name": "shop-logs", "scopes": ["ingest"], "expires_in_days": 30})
    shop.command(str(shop.facts["supervisor"]), "/log-push", {"url": admin.url, "token": logs["token"]})
    signing = secrets.token_urlsafe(32)
    admin.put(f"/deployment-sources/{NAME}", {"secret": signing})
    hook = {"url": f"{admin.url}/hooks/deployments/{NAME}", "secret": signing}
    shop.command(shop.address("release-tool-1"), "/webhook", hook)


def earn(admin: Platform, *, day_seconds: float) -> None:
    """Say what the shop earns and how long its day lasts, so that an incident has a price."""
    admin.put("/settings/usage.revenue", {"value": REVENUE | {"day_seconds": day_seconds}})


def alert(admin: Platform, rules: str) -> None:
    """Put the rules in force; before a window of samples exists, a rate looks like a loss of traffic."""
    admin.put_yaml(f"/rule-files/{NAME}", rules)
    for name, objective in objectives().items():
        admin.put(f"/slos/{name}", objective)


def tell_people(admin: Platform, url: str, *, group_interval_seconds: int) -> None:
    """Send notices to this webhook, and updates of one group at most so often."""
    admin.put("/settings/alerting.group_interval_seconds", {"value": group_interval_seconds})
    if missing(admin, "/channels", "name", CHANNEL):
        admin.post("/channels", {"name": CHANNEL, "kind": "webhook", "settings": {"url": url}})


def allow_execution(admin: Platform, targets: Sequence[str]) -> None:
    """Switch execution on, for these targets only."""
    admin.put("/settings/execution.targets", {"value": list(targets)})
    admin.put("/settings/execution.enabled", {"value": True})
