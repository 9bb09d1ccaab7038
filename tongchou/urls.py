"""Every URL, by inclusion: what the platform itself serves, the API, the integrations, the pages."""

from __future__ import annotations

from allauth.account import views as account
from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from tongchou.api.app import api
from tongchou.api.health import healthz, metrics, readyz

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/v1/", api.urls),
    *[path(each.urls[0], include(each.urls[1])) for each in settings.INTEGRATIONS if each.urls],
    # Of allauth only what is used: people are made, and passwords set, by an administrator or under /account.
    path("accounts/login/", account.login, name="account_login"),
    path("accounts/logout/", account.logout, name="account_logout"),
    path("accounts/inactive/", account.account_inactive, name="account_inactive"),
    path("accounts/reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("", include("tongchou.web.urls")),
]

handler400 = "tongchou.web.errors.bad_request"
handler403 = "tongchou.web.errors.permission_denied"
handler404 = "tongchou.web.errors.page_not_found"
handler500 = "tongchou.web.errors.server_error"
