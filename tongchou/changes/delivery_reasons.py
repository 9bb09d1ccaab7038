"""Why a delivery was ignored or refused, in words. Pure."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

REASONS: dict[str, str | Promise] = {
    # ignored
    "ping": _("A test message of the sender."),
    "not_an_event": _("This kind of event tells of no deployment."),
    "no_rule": _("No rule of the sender says that this workflow, pipeline or job is a deployment."),
    "rule_ignores": _("A rule of the sender says to leave it out."),
    "inactive": _("Only says that an earlier deployment was replaced."),
    "not_finished": _("It waits for somebody, and nothing was begun."),
    "too_old": _("It is older than 400 days."),
    "skipped": _("It was skipped: nothing was deployed."),
    # refused
    "deployment.signature": _("The signature or token is missing or wrong."),
    "deployment.timestamp": _("Its time is too far from ours."),
    "deployment.json": _("It is not JSON in UTF-8."),
    "deployment.body": _("It is not a JSON object."),
    "deployment.field": _("A field is missing or cannot be read."),
    "deployment.form": _("The sender's format is another one."),
    "deployment.off": _("The sender is switched off."),
}
