"""Where a sign-in at the provider begins and where the provider sends people back. The names are allauth's."""

from django.urls import path

from tongchou.integrations.oidc import views

urlpatterns = [
    path("<slug:provider_id>/login/", views.login, name="openid_connect_login"),
    path("<slug:provider_id>/login/callback/", views.callback, name="openid_connect_callback"),
]
