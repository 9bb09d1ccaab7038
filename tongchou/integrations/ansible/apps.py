"""The Django app of ansible steps: it has settings and reasons of its own."""

from django.apps import AppConfig


class AnsibleConfig(AppConfig):
    """Names the integration for Django."""

    name = "tongchou.integrations.ansible"
    label = "ansible"
    default_auto_field = "django.db.models.BigAutoField"
