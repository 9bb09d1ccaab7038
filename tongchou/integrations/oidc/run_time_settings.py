"""What an administrator may change about single sign-on while the platform runs."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core import group_roles, settings_store
from tongchou.core.models import Membership, Role
from tongchou.core.settings_store import register

Wrong = str | Promise | None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _issuer(value: str) -> Wrong:
    if not value:
        if settings_store.get("oidc.only", False):
            return _("oidc.only is on: nobody but break-glass people could sign in. Switch it off first.")
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        return _("An address such as https://id.example.org/realms/ops is wanted, without ? and #.")
    if parts.scheme == "http" and not _loopback(parts.hostname):
        return _("https:// is wanted: over http:// anybody on the way could sign in as anybody.")
    return None


def _words(value: list[Any]) -> Wrong:
    bad = [str(each)[:50] for each in value if not isinstance(each, str) or not each or set(each) & set(' "\\')]
    return _("“%(word)s” is not one word.") % {"word": bad[0]} if bad else None


def _only(value: bool) -> Wrong:
    if not value:
        return None
    if not settings_store.get("oidc.issuer", "") or not settings_store.get("oidc.client_id", ""):
        return _("Set oidc.issuer and oidc.client_id first, and try a sign-in.")
    if not break_glass_administrators(settings_store.get("sign_in.break_glass", [])):
        return _("Name in sign_in.break_glass an active administrator with a password here, for the day it fails.")
    return None


def break_glass_administrators(names: list[Any]) -> list[str]:
    """Return those of the names that are active administrators everywhere and have a password here."""
    held = Membership.objects.filter(
        team=None, role=Role.ADMIN, user__username__in=names, user__is_active=True, user__is_service=False
    ).select_related("user")
    return [each.user.username for each in held if each.user.has_usable_password()]


def _break_glass(value: list[Any]) -> Wrong:
    if settings_store.get("oidc.only", False) and not break_glass_administrators(value):
        return _("oidc.only is on: one active administrator with a password here has to stay in this list.")
    return None


register(
    "oidc.issuer", str, "", _("Address of the OpenID Connect provider (its issuer); empty: off."), validate=_issuer
)
register("oidc.client_id", str, "", _("The client id that the provider gave this installation."))
register(
    "oidc.client_secret",
    str,
    "oidc-client-secret",
    _("Name of the secret (Settings, Secrets) with the client secret; TONGCHOU_OIDC_CLIENT_SECRET wins over it."),
)
register("oidc.scopes", list, ["profile"], _("Scopes asked for beside openid, one a line."), validate=_words)
register("oidc.groups_claim", str, "groups", _("The claim with the person's groups; empty: groups are not looked at."))
register("oidc.username_claim", str, "preferred_username", _("The claim that names a new account."))
register(
    "oidc.group_roles",
    list,
    [],
    _("What groups give, one a line: group = role, or group = role @ team. Applied, and taken away, at every sign-in."),
    validate=group_roles.wrong,
)
register(
    "oidc.allow_new_people",
    bool,
    False,
    _("Whether somebody without an account here gets one at the first sign-in; without a role it sees nothing."),
)
register("oidc.button", str, "", _("Text of the button on the sign-in page; empty: Single sign-on."))
register(
    "oidc.provides_second_factor",
    bool,
    False,
    _("The provider asks for a second factor itself: people from there owe none here."),
)
register(
    "oidc.only",
    bool,
    False,
    _("Only sign-ins at the provider, and those of sign_in.break_glass; API tokens go on."),
    validate=_only,
)
register(
    "sign_in.break_glass",
    list,
    [],
    _("User names that may use their password while oidc.only is on, one a line; each use is in the ledger."),
    validate=_break_glass,
)
