"""The Django app of this host: it has checks of the installation."""

from django.apps import AppConfig


class HostConfig(AppConfig):
    """Names the integration for Django."""

    name = "tongchou.integrations.host"
    label = "host"
    default_auto_field = "django.db.models.BigAutoField"
