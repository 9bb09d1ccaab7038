"""Signing in: allauth's flow with our pages, no open sign-up, and a lockout that says how long it lasts."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tongchou.core import ledger, secrets, settings_store
from tongchou.core.access import system
from tongchou.core.models import User
from tongchou.core.problems import AccessDenied, TooMany
from tongchou.core.refs import ref
from tongchou.web.errors import problem_response

ENCRYPTED = "fernet:"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Accounts are made by an administrator."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody registers themselves."""
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """While only single sign-on lets in, try no password but those of break-glass people, and do not say whose."""
        super().pre_authenticate(request, **credentials)
        if local_refused(str(credentials.get("username", ""))):
            raise self.validation_error("username_password_mismatch")

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """Let in who may sign in at all: by whatever way, a service account may not."""
        if user.is_service:
            return self.respond_user_inactive(request, user)  # type: ignore[no-any-return]  # allauth ships no types
        records = get_authentication_records(request, user)
        if not any(each.get("method") == "socialaccount" for each in records) and settings_store.get(
            "oidc.only", False
        ):
            if local_refused(user.username):
                return problem_response(request, only_single_sign_on())
            with transaction.atomic():
                payload = {"username": user.username, "address": str(request.META.get("REMOTE_ADDR", ""))}
                ledger.record(actor=system("sign-in"), verb="user.broke_glass", subject=ref(user), payload=payload)
        return super().pre_login(request, user, **kwargs)  # type: ignore[no-any-return]  # allauth ships no types


def local_refused(username: str) -> bool:
    """Tell whether this name may not use a password or a passkey of ours: only single sign-on lets it in."""
    if not settings_store.get("oidc.only", False):
        return False
    return username not in settings_store.get("sign_in.break_glass", [])


def only_single_sign_on() -> AccessDenied:
    """Build the refusal of a sign-in with a passkey of ours."""
    return AccessDenied(
        "sign_in.only_single_sign_on",
        _("Only single sign-on lets people in here."),
        remedy=_("Use its button on the sign-in page."),
    )


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth ships no types
    """What proves a second factor lies encrypted in the database, with the key of the secrets."""

    def encrypt(self, text: str) -> str:
        """Return what is stored of an authenticator's secret or of the seed of recovery codes."""
        return ENCRYPTED + secrets.sealed(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Return it as it was; what was stored before encryption came is read as it is."""
        if not encrypted_text.startswith(ENCRYPTED):
            return encrypted_text
        return secrets.opened(encrypted_text.removeprefix(ENCRYPTED))


def locked_out(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Tell that this name is locked from this address after too many failures (django-axes)."""
    minutes = max(1, round(float(settings.AXES_COOLOFF_TIME) * 60))
    wait = ngettext("Wait %(count)d minute and try again.", "Wait %(count)d minutes and try again.", minutes) % {
        "count": minutes
    }
    problem = TooMany(
        "sign_in.locked",
        _("Too many failed attempts to sign in with this name from this address."),
        remedy=" ".join([wait, _("An administrator can set a new password meanwhile.")]),
    )
    return problem_response(request, problem)
