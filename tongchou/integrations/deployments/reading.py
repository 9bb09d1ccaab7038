"""From headers and a JSON body to the report of one deployment, in the sender's format. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.changes import deployment, mapping
from tongchou.changes.deployment import Report
from tongchou.changes.models import SenderFormat
from tongchou.changes.told import Ignored, Told, text
from tongchou.core.problems import Invalid
from tongchou.integrations.deployments.formats import argocd, cdevents, github, gitlab, jenkins

Reader = Callable[[Mapping[str, str], Any, datetime], Told | Ignored]
READERS: dict[str, Reader] = {
    SenderFormat.GITHUB: github.read,
    SenderFormat.GITLAB: gitlab.read,
    SenderFormat.JENKINS: jenkins.read,
    SenderFormat.ARGOCD: argocd.read,
    SenderFormat.CDEVENTS: cdevents.read,
}
# headers only one tool sends: they name a sender that is set to another format
MARKS = {
    "X-GitHub-Event": SenderFormat.GITHUB,
    "X-Gitlab-Event": SenderFormat.GITLAB,
    "Ce-Type": SenderFormat.CDEVENTS,
}
# what GitHub and GitLab name a delivery by; GitLab's X-Gitlab-Webhook-UUID is the same in all of one webhook
ID_HEADERS = {SenderFormat.GITHUB: ("X-GitHub-Delivery",), SenderFormat.GITLAB: ("Idempotency-Key",)}
_ID = re.compile(r"\A[\x21-\x7e]{1,120}\Z")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A delivery that was read: its own id, what it called itself, and the deployment or why it is none."""

    delivery_id: str
    event: str
    outcome: Report | Ignored


def delivery_of(kind: str, headers: Mapping[str, str], body: Any, raw: bytes) -> str:
    """Return what a repeated delivery has in common with the first: the tool's id, else the hash of the body."""
    for name in ID_HEADERS.get(SenderFormat(kind), ()):
        if _ID.match(headers.get(name, "")):
            return headers[name]
    if kind == SenderFormat.PLAIN:
        return deployment.delivery_of(body)
    told = cdevents.delivery_of(headers, body) if kind == SenderFormat.CDEVENTS else ""
    return told or sha256(raw).hexdigest()


def read(
    kind: str, headers: Mapping[str, str], body: Any, raw: bytes, rules: Sequence[Mapping[str, Any]], now: datetime
) -> Arrived:
    """Return what a delivery tells. Raises Invalid for what cannot be of the sender's format."""
    other = next((told for header, told in MARKS.items() if headers.get(header) and told != kind), None)
    if other is not None:
        raise Invalid(
            "deployment.form",
            _("This sender is set up for %(ours)s; what came is of %(theirs)s.")
            % {"ours": SenderFormat(kind).label, "theirs": other.label},
            remedy=_("Choose the right format on the page of senders, or make another sender for this tool."),
        )
    if kind == SenderFormat.PLAIN:
        report = deployment.read(body, now=now)
        return Arrived(delivery_of(kind, headers, body, raw), report.status, report)
    if not isinstance(body, Mapping):
        raise Invalid("deployment.body", _("A JSON object is wanted."), remedy=_("Send the tool's own JSON."))
    told = READERS[kind](headers, body, now)
    delivery_id = delivery_of(kind, headers, body, raw)
    event = text(told.event, 80)
    return Arrived(delivery_id, event, told if isinstance(told, Ignored) else mapping.report_of(told, rules, now))
