"""What an administrator may change about signing in while the platform runs."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.models import Role
from tongchou.core.settings_store import register


def _between(least: int, most: int) -> Any:
    def check(value: int) -> Promise | str | None:
        if least <= value <= most:
            return None
        return _("A whole number from %(least)s to %(most)s is wanted.") % {"least": least, "most": most}

    return check


def _roles(value: list[Any]) -> Promise | str | None:
    unknown = [str(each)[:50] for each in value if each not in Role.values]
    if not unknown:
        return None
    known = ", ".join(Role.values)
    return _("There is no role %(name)s; the roles are %(known)s.") % {"name": unknown[0], "known": known}


register(
    "sign_in.second_factor_roles",
    list,
    [],
    _("Roles that need a second factor, one a line (for example approver and admin). API tokens are not affected."),
    validate=_roles,
)
register(
    "sign_in.second_factor_grace_days",
    int,
    0,
    _("Days during which people of these roles are only reminded; after them every page leads to the enrolment."),
    validate=_between(0, 90),
)
register(
    "sign_in.password_min_length",
    int,
    10,
    _("The least number of characters of a new password."),
    validate=_between(8, 128),
)
register(
    "sign_in.password_refuse_common",
    bool,
    True,
    _("Refuse the passwords of Django's list of 20,000 that leaked most often; the list is on this host."),
)
register(
    "sign_in.password_reuse",
    int,
    3,
    _("How many of a person's last passwords may not be taken again; 0 allows all."),
    validate=_between(0, 12),
)
register(
    "sign_in.password_max_age_days",
    int,
    0,
    _("After so many days a password must be changed at the next page; 0 means never."),
    validate=_between(0, 3660),
)
register(
    "sign_in.unused_days",
    int,
    90,
    _("After so many days without a sign-in or a used token the access review calls an account unused."),
    validate=_between(1, 3660),
)
