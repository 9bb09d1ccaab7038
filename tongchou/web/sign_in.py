"""Signing in: allauth's flow with our pages, no open sign-up, and a lockout that says how long it lasts."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tongchou.core.problems import TooMany
from tongchou.web.errors import problem_response


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Accounts are made by an administrator."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody registers themselves."""
        return False


def locked_out(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Tell that this name is locked from this address after too many failures (django-axes)."""
    minutes = max(1, round(float(settings.AXES_COOLOFF_TIME) * 60))
    wait = ngettext("Wait %(count)d minute and try again.", "Wait %(count)d minutes and try again.", minutes) % {
        "count": minutes
    }
    problem = TooMany(
        "sign_in.locked",
        _("Too many failed attempts to sign in with this name from this address."),
        remedy=f"{wait} {_('An administrator can set a new password meanwhile.')}",
    )
    return problem_response(request, problem)
