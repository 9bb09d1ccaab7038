"""What an operator may change about the inventory while the platform runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register
from tongchou.inventory import truth
from tongchou.inventory.documents import FOLDERS
from tongchou.inventory.freshness import read_overrides
from tongchou.inventory.given import sending, subscriptions, zones
from tongchou.inventory.given.addresses import domain_name
from tongchou.inventory.given.dns import contact_name

_LABEL = re.compile(r"\A[A-Za-z_][A-Za-z0-9_.\-/]{0,119}\Z")


def _days(value: int) -> str | Promise | None:
    return None if 1 <= value <= 3650 else _("A number of days from 1 to 3650 is wanted.")


def _days_or_never(value: int) -> str | Promise | None:
    return None if 0 <= value <= 3650 else _("A number of days from 0 to 3650 is wanted.")


def _looks(value: int) -> str | Promise | None:
    return None if 1 <= value <= 1000 else _("A number from 1 to 1000 is wanted.")


def _overrides(value: str) -> str | Promise | None:
    wrong = len(value) > 2000 or read_overrides(value) is None
    return _("Attributes and times with commas, e.g. os=30d, version=2h.") if wrong else None


def _label(value: str) -> str | Promise | None:
    return None if _LABEL.match(value) else _("The name of a label is wanted, e.g. site.")


def problem_of(value: list[Any]) -> str | Promise | None:
    """What is wrong with the list of folders; None when nothing is."""
    for each in value:
        legal = isinstance(each, str) and each.isprintable() and Path(each).is_absolute()
        if not legal or ".." in Path(each).parts or len(Path(each).parts) < 2:
            return _("A list of full paths of folders is wanted, not of / itself.")
    return None


register(
    FOLDERS,
    list,
    [],
    _("Folders of the server in which sources may read files (exports, Terraform states, spreadsheets). Empty: none."),
    validate=problem_of,
)
register(
    truth.UNSEEN_DAYS,
    int,
    7,
    _("Days after which a resource that no source and no person has seen waits in a queue."),
    validate=_days,
)
register(
    truth.STALE_INTERVALS, int, 3, _("So many intervals of its source unseen make an attribute stale."), validate=_looks
)
register(
    truth.MANUAL_DAYS,
    int,
    365,
    _("Days after which what a person stated is stale, unless confirmed. 0: never."),
    validate=_days_or_never,
)
register(
    truth.STALE_OVERRIDES,
    str,
    "",
    _("Attributes that are stale sooner or later than their source says, e.g. os=30d, version=2h."),
    validate=_overrides,
)
register(
    truth.EXPIRY_DAYS,
    int,
    30,
    _("Days before an end (of support, of a certificate, of a contract) that it waits in a queue and is told."),
    validate=_days,
)
register(truth.SITE_LABEL, str, "site", _("The label whose value is the site of a resource."), validate=_label)


def _domain(value: str) -> str | Promise | None:
    return None if value == "" or domain_name(value) == value else _("A domain name in lower case, e.g. example.org.")


def _contact(value: str) -> str | Promise | None:
    return None if value == "" or contact_name(value) else _("A mailbox without a dot before the @ is wanted.")


def _ttl(value: int) -> str | Promise | None:
    return None if 1 <= value <= 604_800 else _("A number of seconds from 1 to 604800 is wanted.")


register(
    zones.DOMAIN,
    str,
    "",
    _("The domain of names without a dot, in hosts files and zones that are given out."),
    validate=_domain,
)
register(
    zones.NAMESERVER,
    str,
    "",
    _("The name server that zones which are given out name. Empty: ns1 in the domain."),
    validate=_domain,
)
register(
    zones.CONTACT,
    str,
    "",
    _("The mailbox in the SOA of zones which are given out. Empty: hostmaster in the domain."),
    validate=_contact,
)
register(
    zones.TTL, int, 3600, _("Seconds for which records of zones that are given out are remembered."), validate=_ttl
)
register(
    sending.STOP_AFTER,
    int,
    20,
    _("Failed deliveries in a row after which a subscription is stopped; what waits is kept."),
    validate=_looks,
)
register(
    subscriptions.KEEP_DAYS,
    int,
    14,
    _("Days for which the log of deliveries to subscriptions is kept."),
    validate=_days,
)
