"""The Django app of haproxy steps: it has a setting and reasons of its own."""

from django.apps import AppConfig


class HaproxyConfig(AppConfig):
    """Names the integration for Django."""

    name = "tongchou.integrations.haproxy"
    label = "haproxy"
    default_auto_field = "django.db.models.BigAutoField"
