"""API tokens: `tc_` + 40 random characters, shown once, stored as SHA-256, scoped, expiring."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import secrets
import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.db import OperationalError, connections, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import SCOPES, Actor, actor_for_user, check, check_own, denied
from tongchou.core.models import ApiToken, User
from tongchou.core.problems import Invalid, NotSignedIn
from tongchou.core.refs import ref

log = logging.getLogger(__name__)

PREFIX = "tc_"
SHOWN_CHARACTERS = 9
TOUCH_EVERY = timedelta(minutes=1)
MAX_DAYS = 3660
MAX_OVERLAP = timedelta(days=30)
MAX_HELD = 1_000  # tokens whose actor is remembered


def digest_of(token: str) -> str:
    """Return what is stored of a token. A plain hash will do: the token is 240 bits of randomness, not a password."""
    return hashlib.sha256(token.encode()).hexdigest()


def create(
    *, actor: Actor, user: User, name: str, scopes: list[str], expires_at: datetime | None
) -> tuple[ApiToken, str]:
    """Make a token for `user`; return (row, token). The token is not stored: this is the only time it is known.

    People make tokens for themselves; an administrator also for others.
    """
    if actor.user_id != user.pk:
        check(actor, "access.manage")
    elif actor.kind == "token" and "all" not in actor.scopes:
        raise denied(actor, "access.manage")  # a narrow token must not make itself a wide one
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise Invalid(
            "token.scope",
            _("A token has one or more of the scopes %(known)s.") % {"known": ", ".join(SCOPES)},
            field="scopes",
            value=", ".join(unknown),
            remedy=_("Choose the least that will do."),
        )
    if not name.strip() or len(name) > 120:
        raise Invalid("token.name", _("A token has a name of 1 to 120 characters."), field="name", value=name)
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid("token.expiry", _("The token would expire in the past."), field="expires_at", value=expires_at)
    token = PREFIX + secrets.token_urlsafe(30)
    with transaction.atomic():
        row = ApiToken.objects.create(
            user=user,
            name=name.strip(),
            prefix=token[:SHOWN_CHARACTERS],
            digest=digest_of(token),
            scopes=scopes,
            expires_at=expires_at,
        )
        ledger.record(
            actor=actor,
            verb="token.created",
            subject=ref(row),
            about=[ref(user)],
            payload={"name": row.name, "scopes": scopes, "expires_at": expires_at.isoformat() if expires_at else None},
        )
    return row, token


def rotate(*, actor: Actor, token: ApiToken, overlap: timedelta) -> tuple[ApiToken, str]:
    """Make the successor of a token, with the same name, scopes and term; return (row, token), shown once.

    The old one goes on for `overlap`, so that whoever uses it can be told the new one meanwhile.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise Invalid(
            "token.overlap",
            _("The old token may go on for 0 to %(most)s hours.") % {"most": int(MAX_OVERLAP.total_seconds() // 3600)},
            field="overlap_hours",
            value=overlap.total_seconds() / 3600,
            remedy=_("Choose as long as it takes to put the new one in its place."),
        )
    if not token.usable() or token.rotated_to_id is not None:
        raise Invalid(
            "token.ended",
            _("The token %(name)s is revoked, expired or rotated already.") % {"name": token.name},
            field="token",
            value=token.prefix,
            remedy=_("Make a new token instead."),
        )
    now = timezone.now()
    term = token.expires_at - token.created_at if token.expires_at is not None else None
    with transaction.atomic():
        row, text = create(
            actor=actor,
            user=token.user,
            name=token.name,
            scopes=token.scopes,
            expires_at=now + term if term is not None else None,
        )
        ends = min(filter(None, (token.expires_at, now + overlap)))
        # guarded: of two rotations at once, one wins and the other leaves nothing behind
        won = ApiToken.objects.filter(pk=token.pk, rotated_to__isnull=True, revoked_at__isnull=True).update(
            rotated_to=row, expires_at=ends
        )
        if not won:
            raise Invalid("token.ended", _("The token was rotated or revoked meanwhile."), remedy=_("Reload the page."))
        ledger.record(
            actor=actor,
            verb="token.rotated",
            subject=ref(token),
            about=[ref(row), ref(token.user)],
            payload={"name": token.name, "old_ends_at": ends.isoformat(), "successor": row.prefix},
        )
    return row, text


def revoke(*, actor: Actor, token: ApiToken) -> None:
    """End a token now. Its owner may, and an administrator; any token may end itself."""
    if actor.user_id != token.user_id:
        check(actor, "access.manage")
    elif actor.token_id != token.pk:
        check_own(actor, "access.manage")
    with transaction.atomic():
        if ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now()):
            ledger.record(
                actor=actor,
                verb="token.revoked",
                subject=ref(token),
                about=[f"core.user:{token.user_id}"],
                payload={"name": token.name},
            )


def _token_in(header: str) -> str:
    scheme, _space, rest = header.partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        return rest
    if scheme.lower() == "basic":  # remote_write senders and curl -u: any user name, the token as password
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _touch(row: ApiToken, now: datetime) -> None:
    """Note that a token was used; a full or busy disk must not lock people out over a date."""
    try:
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=now)
        row.last_used_at = now  # the row is remembered: its time is no part of the state it is remembered for
    except OperationalError as error:
        log.warning("token %s: the time of its use could not be written: %s", row.prefix, error)


def actor_for_authorization(header: str) -> Actor:
    """Return the actor for an Authorization header (Bearer, or Basic with the token as password).

    Raises NotSignedIn when the token is unknown, expired, revoked or its user is not active.
    One SQL query while nothing about the token, its user and their roles has changed since it was last used here.
    """
    token = _token_in(header)
    row, actor = _known(digest_of(token)) if token.startswith(PREFIX) else (None, None)
    if row is None or actor is None or not row.usable():
        raise NotSignedIn(
            "token.refused",
            _("The token is unknown, expired or revoked."),
            remedy=_("Make a new one under People and tokens and send it as Authorization: Bearer tc_..."),
        )
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at > TOUCH_EVERY:
        _touch(row, now)
    return actor


_Known = tuple[tuple[Any, ...], ApiToken, Actor]
_held: OrderedDict[str, _Known] = OrderedDict()
_held_lock = threading.Lock()


@cache
def _state_sql(using: str) -> str:
    """All that decides on a token and its actor, as SQL with the digest as its parameter.

    Written by the ORM once: to write it anew took longer than all else that a small request does in the database.
    """
    state = ApiToken.objects.filter(digest="").order_by("user__memberships__id")
    columns = state.values_list(
        *("id", "revoked_at", "expires_at", "scopes", "user_id", "user__is_active", "user__username"),
        *("user__memberships__team_id", "user__memberships__role"),
    )
    return str(columns.query.get_compiler(using).as_sql()[0])


def _state(digest: str) -> tuple[Any, ...]:
    """What the database says now; empty for a token that is unknown."""
    using = router.db_for_read(ApiToken)
    with connections[using].cursor() as cursor:
        cursor.execute(_state_sql(using), [digest])
        return tuple(cursor.fetchall())


def _known(digest: str) -> tuple[ApiToken | None, Actor | None]:
    """The token and its actor; those of the last time when the database still says the same."""
    state = _state(digest)
    if not state:
        return None, None
    with _held_lock:
        held = _held.get(digest)
    if held is not None and held[0] == state:
        return held[1], held[2]
    row = ApiToken.objects.select_related("user").filter(digest=digest).first()
    if row is None or not row.user.is_active:
        return None, None
    actor = actor_for_user(row.user, token=row)
    if _state(digest) != state:  # changed between the two reads: right for now, but not for the state of before
        return row, actor
    with _held_lock:
        _held[digest] = (state, row, actor)
        if len(_held) > MAX_HELD:
            _held.popitem(last=False)
    return row, actor
