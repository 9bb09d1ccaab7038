"""Who is signed in where: the list of sessions, their end, what a session still owes before it may go on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger, settings_store
from tongchou.core.access import Actor, check, check_own
from tongchou.core.models import Membership, SettingChange, User
from tongchou.core.problems import NotFound
from tongchou.core.refs import ref

TOUCH_EVERY = timedelta(minutes=1)  # the date of last use is written no more often
OWES_PASSWORD, OWES_SECOND_FACTOR = "password", "second_factor"
STRONG = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
_METHODS = {"password": "password", "socialaccount": "oidc", "mfa": "mfa"}
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def device_of(user_agent: str) -> str:
    """Return what a person recognises a browser by, "Firefox 128 · Linux"; else the first words it said of itself."""
    browser = next(((mark, name) for mark, name in _BROWSERS if mark in user_agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser is None:
        return user_agent[:60] or "?"
    version = re.search(re.escape(browser[0]) + r"(\d{1,4})", user_agent)
    said = f"{browser[1]} {version.group(1)}" if version else browser[1]
    return f"{said} · {system}" if system else said


def method_of(records: Iterable[Mapping[str, Any]], backend: str = "") -> str:
    """Return how a session was begun, from allauth's records of it: "password+totp", "passkey", "oidc", "ldap"."""
    words: list[str] = []
    for each in records:
        if each.get("reauthenticated"):
            continue
        word = _METHODS.get(str(each.get("method")), "")
        if word == "password" and "ldap" in backend.lower():
            word = "ldap"
        if word == "mfa":
            kind = str(each.get("type", "mfa"))
            word = "passkey" if kind == "webauthn" else kind
        if word and word not in words:
            words.append(word)
    return "+".join(words)


def of_user(user: User) -> list[UserSession]:
    """Return the sessions of a person that are alive, last used first; what has ended by itself is dropped.

    Two queries however many there are (allauth's own list asks four for each), and one more when something is dropped.
    """
    rows = list(UserSession.objects.filter(user=user).select_related("user").order_by("-last_seen_at"))
    stored = Session.objects.filter(session_key__in=[each.session_key for each in rows], expire_date__gt=timezone.now())
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    alive = {each.session_key for each in stored if _is_of(user, hashes, each.get_decoded())}
    ended = [each.pk for each in rows if each.session_key not in alive]
    if ended:
        UserSession.objects.filter(pk__in=ended).delete()
    return [each for each in rows if each.session_key in alive]


def _is_of(user: User, hashes: Iterable[str], data: Mapping[str, Any]) -> bool:
    """Tell whether a stored session signs this person in: a changed password ends those that were begun before it."""
    known = str(data.get(HASH_SESSION_KEY, ""))
    return data.get(SESSION_KEY) == str(user.pk) and any(constant_time_compare(known, each) for each in hashes)


def gone() -> NotFound:
    """Build the refusal of a session that is not there (any more)."""
    return NotFound("session.unknown", _("There is no such session; it may have ended."), remedy=_("Reload the page."))


def find(session_id: int) -> UserSession:
    """Return one session. Raises NotFound."""
    row = UserSession.objects.select_related("user").filter(pk=session_id).first()
    if row is None:
        raise gone()
    return row


def _check(actor: Actor, user_id: object) -> None:
    if actor.user_id != user_id:
        check(actor, "access.manage")
    else:
        check_own(actor, "access.manage")


def _end(actor: Actor, rows: Iterable[UserSession], reason: str) -> int:
    count = 0
    for row in rows:
        ledger.record(
            actor=actor,
            verb="session.ended",
            subject=ref(row),
            about=[f"core.user:{row.user_id}"],
            payload={"address": row.ip, "device": device_of(row.user_agent), "reason": reason},
        )
        row.end()
        count += 1
    return count


def end(*, actor: Actor, session: UserSession) -> None:
    """End one session now: one's own, or an administrator anybody's. Event session.ended."""
    _check(actor, session.user_id)
    with transaction.atomic():
        _end(actor, [session], "revoked")


def end_all(*, actor: Actor, user: User, keep: str = "", reason: str = "revoked") -> int:
    """End every session of a person but the one with the key `keep`; return how many were ended."""
    _check(actor, user.pk)
    with transaction.atomic():
        return _end(actor, UserSession.objects.filter(user=user).exclude(session_key=keep), reason)


def moved(*, old_key: str, new_key: str) -> None:
    """Follow a session whose key was changed (a changed password does that)."""
    UserSession.objects.filter(session_key=old_key).update(session_key=new_key)


def touch(session_key: str, now: datetime) -> bool:
    """Note that a session is in use; False when nobody listed it. The caller calls no more than once a minute."""
    return bool(UserSession.objects.filter(session_key=session_key).update(last_seen_at=now))


def note_method(session_key: str, method: str) -> None:
    """Write down how a session was begun."""
    UserSession.objects.filter(session_key=session_key).update(data={"method": method})


def has_second_factor(user: User) -> bool:
    """Tell whether a person has an authenticator app or a passkey; recovery codes alone are none."""
    return bool(Authenticator.objects.filter(user=user, type__in=STRONG).exists())


def owes_password(user: User, max_age_days: int) -> bool:
    """Tell whether a person must change their password before anything else."""
    if user.must_change_password:
        return True
    since = user.password_changed_at or user.date_joined
    return max_age_days > 0 and user.has_usable_password() and since < timezone.now() - timedelta(days=max_age_days)


def second_factor_due(user: User) -> datetime | None:
    """Return since or until when a person owes a second factor; None when they owe none.

    The grace is counted from the last change of the settings or from the making of the account, whichever is later.
    """
    roles = settings_store.get("sign_in.second_factor_roles", [])
    if not roles or not Membership.objects.filter(user=user, role__in=roles).exists() or has_second_factor(user):
        return None
    keys = ("sign_in.second_factor_roles", "sign_in.second_factor_grace_days")
    changed = SettingChange.objects.filter(key__in=keys).order_by("-pk").values_list("changed_at", flat=True).first()
    days = int(settings_store.get("sign_in.second_factor_grace_days", 0))
    return max(changed or user.date_joined, user.date_joined) + timedelta(days=days)
