"""Sign-in: no self-registration, login events in the ledger, a lockout page that says what to do."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext

from tongchou.core.problems import TooMany


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Accounts are made by an administrator."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody registers themselves."""
        return False


def locked_out(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """Tell that this name is locked from this address after too many failures."""
    problem = TooMany(
        "login.locked",
        gettext("Too many failed sign-ins for this name from this address."),
        remedy=gettext("Wait 15 minutes, or ask an administrator to set a new password."),
    )
    return render(request, "error.html", {"problem": problem}, status=429)
