"""Login success and failure in the ledger: the one place where Django's signals are followed."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.http import HttpRequest

from tongchou.core import ledger
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import User
from tongchou.core.refs import ref


def _address(request: HttpRequest | None) -> str:
    return str(request.META.get("REMOTE_ADDR", "")) if request is not None else ""


def _record(actor: Actor, verb: str, subject: str, request: HttpRequest | None, **payload: Any) -> None:
    with transaction.atomic():
        ledger.record(actor=actor, verb=verb, subject=subject, payload={"address": _address(request), **payload})


def logged_in(sender: object, request: HttpRequest | None = None, user: User | None = None, **_: Any) -> None:
    """Record user.signed_in."""
    if user is not None:
        _record(actor_for_user(user), "user.signed_in", ref(user), request)


def logged_out(sender: object, request: HttpRequest | None = None, user: User | None = None, **_: Any) -> None:
    """Record user.signed_out."""
    if user is not None:
        _record(actor_for_user(user), "user.signed_out", ref(user), request)


def login_failed(
    sender: object, credentials: dict[str, Any] | None = None, request: HttpRequest | None = None, **_: Any
) -> None:
    """Record user.sign_in_failed with the name that was tried, cut short; never what was typed as password."""
    tried = str((credentials or {}).get("username", ""))[:60]
    known = User.objects.filter(username=tried).first()
    subject = ref(known) if known else "core.user:unknown"
    _record(system("sign-in"), "user.sign_in_failed", subject, request, username=tried)


# Imported once, by core's AppConfig through autodiscover_modules; dispatch_uid makes a second import harmless.
user_logged_in.connect(logged_in, dispatch_uid="tongchou.signed_in")
user_logged_out.connect(logged_out, dispatch_uid="tongchou.signed_out")
user_login_failed.connect(login_failed, dispatch_uid="tongchou.sign_in_failed")
