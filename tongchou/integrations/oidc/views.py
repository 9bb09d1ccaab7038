"""Out to the provider and back. A failure on the way is a page that says what to do, and a row in the ledger."""

from __future__ import annotations

import requests
from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from tongchou.core.problems import NotFound, TooMany, Unavailable
from tongchou.integrations.oidc import config
from tongchou.integrations.oidc.adapter import not_believed, refused
from tongchou.integrations.oidc.protocol import Callback, Protocol

MOST_A_MINUTE = 60  # of one address; each begun sign-in costs a request to the provider


def _known(provider_id: str) -> None:
    if provider_id != config.PROVIDER_ID:
        raise NotFound("oidc.unknown", _("There is no such identity provider."), remedy=_("Use the sign-in page."))
    config.load()


def _slow_down(request: HttpRequest) -> None:
    key = f"oidc-login:{request.META.get('REMOTE_ADDR', '')}"
    cache.add(key, 0, 60)
    if cache.incr(key) > MOST_A_MINUTE:
        raise TooMany("oidc.too_many", _("Too many sign-ins from this address."), remedy=_("Wait a minute."))


@never_cache
@require_GET
def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Begin: `process=connect` connects the signed-in person's account, anything else signs in."""
    _known(provider_id)
    _slow_down(request)
    wants = request.GET.get("process") == "connect" and request.user.is_authenticated
    process = AuthProcess.CONNECT if wants else AuthProcess.LOGIN
    provider = get_adapter().get_provider(request, provider_id)
    try:
        response: HttpResponse = provider.redirect(request, process, next_url=get_next_redirect_url(request))
    except (requests.RequestException, OAuth2Error) as error:
        problem = Unavailable(
            "oidc.unreachable",
            _("The identity provider cannot be used now."),
            remedy=_(
                "Try again in a minute, or sign in with your password. An administrator finds the reason in the ledger."
            ),
        )
        raise refused(request, f"{type(error).__name__}: {error}", problem) from error
    return response


@never_cache
@require_GET
def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Come back with a code and the state that was sent."""
    _known(provider_id)
    try:
        response: HttpResponse = Callback.adapter_view(Protocol(request, provider_id))(request)
    except (requests.RequestException, OAuth2Error, ValueError, KeyError) as error:
        raise refused(request, f"{type(error).__name__}: {error}", not_believed()) from error
    return response
