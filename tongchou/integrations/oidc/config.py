"""What an administrator wrote about the provider, read anew for every sign-in."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _

from tongchou.core import group_roles, secrets, settings_store
from tongchou.core.problems import NotFound

PROVIDER_ID = "oidc"  # in the addresses: /accounts/oidc/oidc/login/callback/ is the redirect URI


@dataclass(frozen=True)
class Config:
    """One provider. `secret` is never logged, shown or stored."""

    issuer: str
    client_id: str
    secret: str
    scopes: tuple[str, ...]
    groups_claim: str
    username_claim: str
    rules: tuple[group_roles.Rule, ...]
    allow_new_people: bool
    button: str


def configured() -> bool:
    """Tell whether there is a provider at all."""
    return bool(settings_store.get("oidc.issuer", "") and settings_store.get("oidc.client_id", ""))


def load() -> Config:
    """Return the provider. Raises NotFound while there is none, or its secret is missing."""
    if not configured():
        raise NotFound(
            "oidc.off",
            _("Single sign-on is not set up here."),
            remedy=_("Sign in with your password, or set oidc.issuer and oidc.client_id under Settings."),
        )
    secret = settings.OIDC_CLIENT_SECRET or secrets.reveal(settings_store.get("oidc.client_secret"))
    return Config(
        issuer=settings_store.get("oidc.issuer"),
        client_id=settings_store.get("oidc.client_id"),
        secret=secret,
        scopes=tuple(dict.fromkeys(["openid", *settings_store.get("oidc.scopes")])),
        groups_claim=settings_store.get("oidc.groups_claim"),
        username_claim=settings_store.get("oidc.username_claim"),
        rules=tuple(group_roles.parse(settings_store.get("oidc.group_roles"))),
        allow_new_people=settings_store.get("oidc.allow_new_people"),
        button=settings_store.get("oidc.button"),
    )
