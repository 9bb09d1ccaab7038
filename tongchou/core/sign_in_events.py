"""Login success and failure in the ledger: the one place where Django's signals are followed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.account.signals import user_logged_in as allauth_logged_in
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed, authenticator_added, authenticator_removed, authenticator_reset
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.signals import social_account_added
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.http import HttpRequest

from tongchou.core import ledger, sessions
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import User
from tongchou.core.refs import ref


def _address(request: HttpRequest | None) -> str:
    return str(request.META.get("REMOTE_ADDR", "")) if request is not None else ""


def _record(actor: Actor, verb: str, subject: str, request: HttpRequest | None, **payload: Any) -> None:
    with transaction.atomic():
        ledger.record(actor=actor, verb=verb, subject=subject, payload={"address": _address(request), **payload})


def logged_in(sender: object, request: HttpRequest | None = None, user: User | None = None, **_: Any) -> None:
    """Record user.signed_in with the method, as far as it is known."""
    if user is not None:
        _record(actor_for_user(user), "user.signed_in", ref(user), request, method=_method(request, user))


def _method(request: HttpRequest | None, user: User) -> str:
    if request is None or not hasattr(request, "session"):
        return ""
    return sessions.method_of(get_authentication_records(request, user), getattr(user, "backend", ""))


def session_listed(sender: object, request: HttpRequest, user: User, **_: Any) -> None:
    """Write down how the session that has just been listed was begun."""
    if request.session.session_key:
        sessions.note_method(request.session.session_key, _method(request, user))


def account_linked(sender: object, request: HttpRequest, sociallogin: SocialLogin, **_: Any) -> None:
    """Record that an account was connected with a sign-in elsewhere."""
    user = sociallogin.user
    issuer = str((sociallogin.account.extra_data.get("userinfo") or {}).get("issuer", ""))
    _record(actor_for_user(user), "user.linked", ref(user), request, username=user.username, provider=issuer)


def _second_factor(verb: str) -> Callable[..., None]:
    def follow(
        sender: object, request: HttpRequest, user: User, authenticator: Authenticator | None = None, **_: Any
    ) -> None:
        said = {"username": user.username, "type": authenticator.type if authenticator else ""}
        _record(actor_for_user(user), verb, ref(user), request, **said)

    return follow


factor_added, factor_removed = _second_factor("second_factor.added"), _second_factor("second_factor.removed")
factor_reset, factor_failed = _second_factor("second_factor.codes_renewed"), _second_factor("second_factor.failed")


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
allauth_logged_in.connect(session_listed, dispatch_uid="tongchou.session_listed")
social_account_added.connect(account_linked, dispatch_uid="tongchou.account_linked")
authenticator_added.connect(factor_added, dispatch_uid="tongchou.factor_added")
authenticator_removed.connect(factor_removed, dispatch_uid="tongchou.factor_removed")
authenticator_reset.connect(factor_reset, dispatch_uid="tongchou.factor_reset")
authentication_failed.connect(factor_failed, dispatch_uid="tongchou.factor_failed")
