"""Every write about build servers: name one, switch it, test it, remove it, have its builds looked at."""

from __future__ import annotations

import re
import secrets as random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import actions, build_reads
from tongchou.changes.build_ports import Greeting
from tongchou.changes.installed import builds
from tongchou.changes.models import DeploymentSource, SenderFormat
from tongchou.changes.models_builds import BuildServer, BuildServerKind
from tongchou.core import ledger, secrets
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref

MANAGE = "integrations.manage"
NAME = re.compile(r"\A[a-z0-9][a-z0-9-]{0,48}\Z")
MIN_EVERY_SECONDS, MAX_EVERY_SECONDS = 30, 86_400
MAX_BACKOFF_SECONDS = 1800.0
MAX_FAILURES = 1_000_000


@dataclass(frozen=True, slots=True)
class ServerWanted:
    """What a server shall be; None leaves it as it is. A new one wants a URL; `sender` "": its builds are not taken."""

    url: str | None = None
    user: str | None = None
    token: str | None = None
    enabled: bool | None = None
    sender: str | None = None
    poll_every_seconds: int | None = None


def put_server(*, actor: Actor, name: str, wanted: ServerWanted) -> BuildServer:
    """Name a build server, or change one. Event build_server.changed, without the token.

    A new URL or user wants the token again: what was given for one place is never sent to another.
    """
    check(actor, MANAGE)
    if not NAME.match(name):
        raise Invalid(
            "build_server.name", _("A name has small letters, digits and hyphens, at most 49."), field="name",
            value=name, remedy=_("Rename it, e.g. jenkins."),
        )  # fmt: skip
    values = _checked(wanted)
    with transaction.atomic():
        row = BuildServer.objects.select_for_update(of=("self",)).filter(name=name).first()
        if row is None and "url" not in values:
            raise _invalid("url", "", _("A new server wants its address."))
        if wanted.sender is not None:
            values["sender"] = _sender(actor, wanted.sender)
        _check_token(row, values, wanted.token)
        row, changes = _written(actor, row, name, values)
        if wanted.token:
            secrets.put(actor=actor, name=build_reads.secret_name(name), value=wanted.token)
        ledger.record(
            actor=actor,
            verb="build_server.changed",
            subject=ref(row),
            payload={"name": name, **changes, "token_changed": bool(wanted.token)},
        )
    return row


def _checked(wanted: ServerWanted) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if wanted.url is not None:
        values["url"] = _url(wanted.url)
    if wanted.user is not None:
        if len(wanted.user) > 150 or ":" in wanted.user or not wanted.user.isprintable():
            raise _invalid("user", wanted.user, _("A user is at most 150 characters, without a colon."))
        values["user"] = wanted.user.strip()
    if wanted.token is not None and (len(wanted.token) > 1000 or not wanted.token.isprintable()):
        raise _invalid("token", "", _("A token is at most 1000 characters in one line."))
    if wanted.poll_every_seconds is not None:
        if not MIN_EVERY_SECONDS <= wanted.poll_every_seconds <= MAX_EVERY_SECONDS:
            words = {"least": MIN_EVERY_SECONDS, "most": MAX_EVERY_SECONDS}
            raise _invalid(
                "poll_every_seconds",
                str(wanted.poll_every_seconds),
                _("Between %(least)s and %(most)s seconds.") % words,
            )
        values["poll_every_seconds"] = wanted.poll_every_seconds
    if wanted.enabled is not None:
        values["enabled"] = wanted.enabled
    return values


def _url(text: str) -> str:
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound, parts = False, urlsplit("")
    if not sound or len(url) > 500 or "@" in parts.netloc or parts.query or parts.fragment or not url.isprintable():
        raise _invalid(
            "url", url[:200], _("An address such as https://ci.example.org/jenkins is wanted, without a password.")
        )
    return url


def _invalid(field: str, value: str, detail: Any) -> Invalid:
    return Invalid("build_server.field", detail, field=field, value=value, remedy=_("Correct it and send it again."))


def _check_token(row: BuildServer | None, values: dict[str, Any], token: str | None) -> None:
    moved = row is not None and any(values.get(key, getattr(row, key)) != getattr(row, key) for key in ("url", "user"))
    if moved and row is not None and not token and build_reads.secret_name(row.name) in secrets.names():
        raise Invalid(
            "build_server.token",
            _("The token was given for the address and user as they were."),
            field="token",
            remedy=_("Give the token again, with the new address or user."),
        )


def _written(
    actor: Actor, row: BuildServer | None, name: str, values: dict[str, Any]
) -> tuple[BuildServer, dict[str, Any]]:
    now = timezone.now()
    stamp = {"updated_at": now, "updated_by_name": actor.name[:150]}
    if row is None:
        try:
            with transaction.atomic():
                row = BuildServer.objects.create(name=name, kind=BuildServerKind.JENKINS, **values, **stamp)
        except IntegrityError:
            raise Conflict(
                "build_server.exists", _("There is a build server of this name."), field="name", value=name
            ) from None
        changes: dict[str, Any] = {"created": True, **values}
    else:
        changes = {key: value for key, value in values.items() if value != getattr(row, key)}
        fresh: dict[str, Any] = {"failures": 0, "failing_since": None, "problem": "", "next_poll_at": None}
        BuildServer.objects.filter(pk=row.pk).update(**changes, **fresh, **stamp)
        if "url" in changes:  # numbers of another server's builds say nothing
            row.jobs.all().delete()
        row.refresh_from_db()
    if "sender" in changes:
        changes["sender"] = row.sender.name if row.sender else None
    return row, changes


def _sender(actor: Actor, name: str) -> DeploymentSource | None:
    """The sender as which its builds are taken: one of Jenkins, made when there is none of this name."""
    if not name:
        return None
    row = DeploymentSource.objects.filter(name=name).first()
    if row is None:
        wanted = actions.SenderWanted(secret=random.token_hex(32), format=SenderFormat.JENKINS)
        return actions.configure_sender(actor=actor, name=name, wanted=wanted)
    if row.format != SenderFormat.JENKINS:
        raise _invalid("sender", name, _("This sender is of another format than Jenkins."))
    return row


def remove_server(*, actor: Actor, row: BuildServer) -> None:
    """Remove a server and its token; what its builds became stays. Event build_server.removed."""
    check(actor, MANAGE)
    with transaction.atomic():
        ledger.record(actor=actor, verb="build_server.removed", subject=ref(row), payload={"name": row.name})
        try:
            secrets.delete(actor=actor, name=build_reads.secret_name(row.name))
        except NotFound:
            pass  # it never had one
        row.delete()


def test_server(*, actor: Actor, row: BuildServer) -> Greeting:
    """Ask a server who it is and who we are, and keep that. Raises Unavailable with what went wrong."""
    check(actor, MANAGE)
    try:
        greeting = builds(row.kind).greet(build_reads.place_of(row))
    except Problem as problem:
        note_failure(row, str(problem.detail))
        raise
    note_answer(row, version=greeting.version[:60], known_as=greeting.known_as[:150])
    return greeting


def note_answer(row: BuildServer, **more: object) -> None:
    """Write down that a server answered."""
    fresh = {"failures": 0, "failing_since": None, "problem": ""}
    BuildServer.objects.filter(pk=row.pk).update(answered_at=timezone.now(), **fresh, **more)
    row.refresh_from_db()


def note_failure(row: BuildServer, why: str) -> None:
    """Write down that a server did not answer; it is asked again later and later, at most half an hour apart."""
    now = timezone.now()
    failures = min(row.failures + 1, MAX_FAILURES)
    wait = min(MAX_BACKOFF_SECONDS, row.poll_every_seconds * 2.0 ** min(failures, 10))
    BuildServer.objects.filter(pk=row.pk).update(
        failures=failures,
        failing_since=row.failing_since or now,
        problem=why[:300],
        next_poll_at=now + timedelta(seconds=max(wait, row.poll_every_seconds)),
    )
    row.refresh_from_db()
