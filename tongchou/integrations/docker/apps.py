"""The Django app of Docker: it has a run-time setting."""

from django.apps import AppConfig


class DockerConfig(AppConfig):
    """Names the integration for Django."""

    name = "tongchou.integrations.docker"
    label = "docker"
    default_auto_field = "django.db.models.BigAutoField"
