"""The password is proven by a bind at the directory; account and roles are made by core's own actions."""

from __future__ import annotations

import logging
from typing import Any

import ldap
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest
from django_auth_ldap.backend import LDAPBackend, _LDAPUser, ldap_error
from django_auth_ldap.config import LDAPSettings

from tongchou.core import group_roles, ledger, people, settings_store
from tongchou.core.access import system
from tongchou.core.models import Origin, User
from tongchou.core.problems import Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.integrations.ldap.config import Directory, load, options

log = logging.getLogger(__name__)
ACTOR = system("directory")
TELL_EVERY_SECONDS = 60


def _told(username: str, reason: str) -> None:
    known = User.objects.filter(username=username).first()
    with transaction.atomic():
        ledger.record(
            actor=ACTOR,
            verb="user.sign_in_refused",
            subject=ref(known) if known else "core.user:unknown",
            payload={"username": username[:60], "reason": reason[:300]},
        )


def unreachable(sender: object, exception: Exception | None = None, **_: Any) -> None:
    """Write down, once a minute, that the directory failed: people see a wrong password only."""
    reason = f"the directory failed: {type(exception).__name__}"
    log.warning("%s: %s", reason, exception)
    if cache.add("ldap-unreachable", True, TELL_EVERY_SECONDS):
        _told("", reason)


ldap_error.connect(unreachable, dispatch_uid="tongchou.ldap_unreachable")


class LdapBackend(LDAPBackend):  # type: ignore[misc]  # the library ships no types
    """Signs in people of the directory. A local account is never signed in by the directory, nor the other way."""

    @property
    def directory(self) -> Directory:
        """What the environment says, read anew: it costs nothing beside a bind."""
        return load(settings.LDAP)

    @property
    def settings(self) -> LDAPSettings:
        """The library's settings, out of ours alone."""
        return LDAPSettings("TONGCHOU_NOT_SET_LDAP_", options(self.directory))

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Return the person, or None. A name that belongs to an account of another origin is not asked for there."""
        if not username or not password or "\0" in username:
            return None
        if User.objects.filter(username__iexact=username.strip()).exclude(origin=Origin.LDAP).exists():
            return None
        found: User | None = super().authenticate(request, username=username, password=password)
        return found

    def authenticate_ldap_user(self, ldap_user: _LDAPUser, password: str) -> User | None:
        """Return the person with the roles of their groups as they are now."""
        user: User | None = super().authenticate_ldap_user(ldap_user, password)
        if user is None or not user.is_active:
            return None
        if self.directory.group_base:
            try:
                groups = {*ldap_user.group_names, *ldap_user.group_dns}
            except ldap.LDAPError as error:
                unreachable(self, error)
                return None  # without the groups nobody knows what this person may still do
            rules = group_roles.parse(settings_store.get("ldap.group_roles", []))
            group_roles.apply(actor=ACTOR, user=user, source=Origin.LDAP, groups=groups, rules=rules)
        return user

    def get_or_build_user(self, username: str, ldap_user: _LDAPUser) -> tuple[User, bool]:
        """Return the account, by the name the directory itself writes; made by core's action when it is new."""
        values = ldap_user.attrs.get(self.directory.username_attribute) or []
        name = str(values[0]).strip().lower() if values else ""
        if not name:
            _told(username, f"the entry has no {self.directory.username_attribute}")
            raise ldap_user.AuthenticationFailed("no user name in the entry")
        known = User.objects.filter(username=name).first()
        if known is not None:
            if known.origin != Origin.LDAP or known.is_service:
                _told(name, "the name belongs to an account that is not of the directory")
                raise ldap_user.AuthenticationFailed("an account of another origin has this name")
            return known, False
        if not settings_store.get("ldap.allow_new_people", True):
            _told(name, "new people are not allowed")
            raise ldap_user.AuthenticationFailed("new people are not allowed")
        shown = ldap_user.attrs.get("displayname") or ldap_user.attrs.get("cn") or [""]
        try:
            made = people.create_user(
                actor=ACTOR,
                username=name,
                password=None,
                role=None,
                display_name=str(shown[0])[:120],
                origin=Origin.LDAP,
            )
        except (Conflict, Invalid) as error:
            _told(name, error.code)
            raise ldap_user.AuthenticationFailed(error.code) from error
        return made, False

    def get_user(self, user_id: str) -> User | None:
        """Return the person of a session; the directory is not asked again."""
        return User.objects.filter(pk=user_id, origin=Origin.LDAP).first()

    def get_all_permissions(self, user: object, obj: object = None) -> set[str]:
        """Django's own permissions are not used here."""
        return set()
