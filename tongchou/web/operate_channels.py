"""Operate: channels. Where notices go, made and changed in a form, tried with a test message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.alerting import actions, ports
from tongchou.alerting.jobs import send_test
from tongchou.alerting.models import Channel
from tongchou.core import secrets
from tongchou.core.access import check
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.registry import implementations
from tongchou.web.gate import PageRequest, page

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Field:
    """A setting in the form. `form`: text, number, list (separated by commas) or a choice of `choices`."""

    name: str
    title: Text
    form: str = "text"
    default: str = ""
    help: Text = ""
    choices: tuple[tuple[str, Text], ...] = ()


# Kinds that are not here are written as JSON.
FIELDS: dict[str, tuple[Field, ...]] = {
    "webhook": (
        Field("url", gettext_lazy("Address"), help=gettext_lazy("An http or https address that takes a POST.")),
        Field("timeout_seconds", gettext_lazy("Seconds to wait for an answer"), "number", "5"),
    ),
    "smtp": (
        Field("host", gettext_lazy("Mail server")),
        Field(
            "security",
            gettext_lazy("Connection"),
            "choice",
            "starttls",
            choices=(("starttls", "STARTTLS"), ("tls", "TLS"), ("none", gettext_lazy("not encrypted"))),
        ),
        Field("port", gettext_lazy("Port"), "number", "587", gettext_lazy("587 for STARTTLS, 465 for TLS.")),
        Field("username", gettext_lazy("Username"), help=gettext_lazy("Empty when the server asks for none.")),
        Field("from", gettext_lazy("Sender")),
        Field("to", gettext_lazy("Recipients"), "list", help=gettext_lazy("Addresses, separated by commas.")),
        Field(
            "language",
            gettext_lazy("Language"),
            "choice",
            "zh-hans",
            choices=(("zh-hans", "简体中文"), ("en", "English")),
        ),
        Field("timeout_seconds", gettext_lazy("Seconds to wait for an answer"), "number", "15"),
    ),
}


def kinds() -> list[ports.Channel]:
    """The kinds of channels there are, by name."""
    return sorted(implementations(ports.Channel), key=lambda each: each.kind)  # type: ignore[type-abstract]  # a Protocol as key


def _one(channel_id: UUID) -> Channel:
    row = Channel.objects.filter(pk=channel_id).first()
    if row is None:
        raise actions.unknown_channel(str(channel_id))
    return row


def _form(kind: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for field in FIELDS.get(kind, ()):
        value = settings.get(field.name, field.default)
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append({"field": field, "value": shown.removesuffix(".0") if field.form == "number" else shown})
    return rows


def _settings(request: PageRequest, kind: str, before: dict[str, Any]) -> dict[str, Any]:
    """What the form says; settings it does not show stay as they are. Raises Invalid."""
    if kind not in FIELDS:
        try:
            found = json.loads(request.POST.get("settings", "") or "{}")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Invalid("channel.settings", _("A JSON object is wanted."), field="settings")
        return found
    settings = dict(before)
    for field in FIELDS[kind]:
        text = request.POST.get(field.name, "").strip()
        if field.form == "list":
            settings[field.name] = [each.strip() for each in text.split(",") if each.strip()]
        elif field.form == "number":
            try:
                settings[field.name] = float(text) if "." in text else int(text)
            except ValueError:
                raise Invalid("channel.number", _("A number is wanted."), field=field.name, value=text[:60]) from None
        else:
            settings[field.name] = text
    return settings


def _has_secret(row: Channel) -> bool:
    return actions.secret_name(row) in secrets.names()


@page("alerting.edit")
def channel(request: PageRequest, channel_id: UUID | None = None) -> HttpResponse:
    """A channel's form: a new one of `?kind=`, or the one there is. What is masked and left so stays."""
    check(request.actor, "alerting.edit")  # channels have no owner: a team's role does not open them
    row = None if channel_id is None else _one(channel_id)
    name = row.name if row else ""
    known = {each.kind: each for each in kinds()}
    kind = row.kind if row else (request.POST.get("kind") or request.GET.get("kind") or "webhook")
    serves = known.get(kind)
    settings = actions.shown_settings(row) if row else {}
    had_secret = row is not None and _has_secret(row)
    context: dict[str, Any] = {"row": row, "kind": kind, "kinds": sorted(known), "name": name, "enabled": True}
    if request.method == "POST":
        context |= {"name": request.POST.get("name", name), "enabled": "enabled" in request.POST}
        try:
            wanted = _settings(request, kind, settings)
            settings = wanted
            write = actions.put_channel if row else actions.create_channel
            kept = write(
                actor=request.actor,
                name=name or request.POST.get("name", ""),
                kind=kind,
                settings=wanted,
                enabled="enabled" in request.POST,
                secret=request.POST.get("secret") or None,
            )
        except (Invalid, Conflict) as problem:
            context["problem"] = problem
        else:
            messages.success(request, _("The channel %(name)s is saved.") % {"name": kept.name})
            if had_secret and not _has_secret(kept):
                messages.warning(request, _("It goes elsewhere now, so its secret was dropped: enter it again."))
            return redirect("web:alert-channel", channel_id=kept.pk)
    elif row:
        context["enabled"] = row.enabled
    context |= {
        "fields": _form(kind, settings),
        "json": "" if kind in FIELDS else json.dumps(settings, ensure_ascii=False, indent=2),
        "secret_help": serves.secret_help() if serves else None,
        "has_secret": had_secret,
    }
    return render(request, "operate/alert_channel.html", context, status=422 if "problem" in context else 200)


@page("alerting.edit")
@require_POST
def channel_act(request: PageRequest, channel_id: UUID, act: str) -> HttpResponse:
    """Send a test message now, or delete the channel."""
    row = _one(channel_id)
    if act == "delete":
        actions.delete_channel(actor=request.actor, name=row.name)
        messages.success(request, _("The channel is deleted; what it had not told yet is not told."))
        return redirect("web:alert-channels")
    if act != "test":
        raise NotFound("channel.act", _("There is no such action."), remedy=_("Use the buttons on the channel's page."))
    outcome = send_test(actor=request.actor, channel=row)
    if outcome.delivered:
        messages.success(request, _("The test message was delivered: %(detail)s") % {"detail": outcome.detail})
    else:
        messages.error(request, _("The test message was not delivered: %(detail)s") % {"detail": outcome.detail})
    return redirect("web:alert-channel", channel_id=channel_id)
