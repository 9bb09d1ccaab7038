"""Whom a proven sign-in at the provider belongs to: a connected account, a new one, or nobody here."""

from __future__ import annotations

import logging
from typing import Any

import requests
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from tongchou.core import group_roles, ledger, people
from tongchou.core.access import system
from tongchou.core.models import Origin, User
from tongchou.core.problems import AccessDenied, Conflict, Invalid, Problem
from tongchou.core.refs import ref
from tongchou.integrations.oidc import config, transport
from tongchou.integrations.oidc.protocol import Provider

log = logging.getLogger(__name__)
ACTOR = system("single sign-on")


def refused(request: HttpRequest, reason: str, problem: Problem, *, username: str = "") -> Problem:
    """Write a refusal into the log and the ledger (reason in English words, no token or code); return the problem."""
    log.warning("single sign-on refused: %s", reason)
    known = User.objects.filter(username=username).first() if username else None
    with transaction.atomic():
        ledger.record(
            actor=ACTOR,
            verb="user.sign_in_refused",
            subject=ref(known) if known else "core.user:unknown",
            payload={
                "username": username[:60],
                "reason": reason[:300],
                "address": str(request.META.get("REMOTE_ADDR", "")),
            },
        )
    return problem


def not_believed() -> AccessDenied:
    """Build the refusal of an answer that could not be proven; what was wrong is in the ledger, not on the page."""
    return AccessDenied(
        "oidc.not_proven",
        _("The sign-in at the identity provider could not be proven."),
        remedy=_(
            "Start again from the sign-in page. If it happens again, an administrator finds the reason in the ledger."
        ),
    )


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """One provider, out of run-time settings; accounts are made and roles given by core's own actions."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Return the provider that is set up; an unsaved row, for nothing of it lies in the library's table."""
        if not config.configured() or provider not in (None, Provider.id, config.PROVIDER_ID):
            return []
        found = config.load()
        own = {
            "issuer": found.issuer,
            "server_url": found.issuer,
            "scope": list(found.scopes),
            "groups_claim": found.groups_claim,
            "username_claim": found.username_claim,
            "oauth_pkce_enabled": True,
        }
        name = found.button or _("Single sign-on")
        app = SocialApp(provider=Provider.id, provider_id=config.PROVIDER_ID, name=name, settings=own)
        app.client_id, app.secret = found.client_id, found.secret
        return [app]

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Provider:
        """Return the provider with our protocol."""
        return Provider(request, app=self.get_app(request, provider=config.PROVIDER_ID))

    def get_requests_session(self) -> requests.Session:
        """Return a session that goes out by core.http alone."""
        return transport.session()

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Give and take the roles of the person's groups before anything is opened to them."""
        sociallogin.email_addresses = []  # an address proves nothing here: accounts are connected by hand only
        if sociallogin.is_existing and sociallogin.state.get("process") != AuthProcess.CONNECT:
            user = sociallogin.user
            if not user.is_active or user.is_service:
                problem = AccessDenied(
                    "oidc.kept_out", _("This account is kept out."), remedy=_("Ask an administrator.")
                )
                raise refused(request, "the account is kept out", problem, username=user.username)
            self._apply(user, sociallogin)

    def _apply(self, user: User, sociallogin: SocialLogin) -> None:
        found = config.load()
        if found.groups_claim:
            groups = sociallogin.account.extra_data["userinfo"]["groups"]
            group_roles.apply(actor=ACTOR, user=user, source=Origin.OIDC, groups=groups, rules=found.rules)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Refuse somebody without an account unless new people are allowed; a name that is taken is not taken over."""
        name = sociallogin.account.extra_data["userinfo"]["preferred_username"].strip()
        if not config.load().allow_new_people:
            problem = AccessDenied(
                "oidc.no_account",
                _("No account here is connected with this sign-in."),
                remedy=_("Sign in with your password and connect it under Account settings, or ask an administrator."),
            )
            raise refused(request, "no account is connected", problem, username=name)
        if not name:
            problem = AccessDenied(
                "oidc.no_name",
                _("The identity provider sent no user name."),
                remedy=_("Ask an administrator to set oidc.username_claim to a claim that the provider sends."),
            )
            raise refused(request, "the user name claim is empty", problem)
        return True

    def is_auto_signup_allowed(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """No form stands between: the provider has said everything."""
        return True

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        """Make the account by core's action, connect it, give it the roles of its groups: all of it or nothing."""
        told = sociallogin.account.extra_data["userinfo"]
        name = told["preferred_username"].strip()
        try:
            with transaction.atomic():
                user = people.create_user(
                    actor=ACTOR,
                    username=name,
                    password=None,
                    role=None,
                    display_name=str(told.get("name", ""))[:120],
                    origin=Origin.OIDC,
                )
                sociallogin.connect(request, user)
                self._apply(user, sociallogin)
        except (Conflict, Invalid) as error:
            problem = AccessDenied(
                "oidc.name_taken",
                _("The name %(name)s cannot be used for a new account here.") % {"name": name[:60]},
                remedy=_("If it is yours, sign in with your password and connect it under Account settings."),
            )
            raise refused(request, f"{error.code}: the name cannot be used", problem, username=name) from error
        return user

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: Any = None,
    ) -> None:
        """Turn every failure of the exchange into a page that says what to do; never falls through."""
        if str(error) == "cancelled":
            raise refused(
                request,
                "cancelled at the provider",
                AccessDenied(
                    "oidc.cancelled",
                    _("The sign-in was cancelled at the identity provider."),
                    remedy=_("Start again from the sign-in page."),
                ),
            )
        reason = (
            f"{type(exception).__name__}: {exception}" if exception else "state unknown, used or older than 10 minutes"
        )
        raise refused(request, reason, not_believed())

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: SocialAccount) -> str:
        """Back to the account."""
        return reverse("web:account")
