"""The Django app of Jenkins: it has reasons of steps and a check of the installation."""

from django.apps import AppConfig


class JenkinsConfig(AppConfig):
    """Names the integration for Django."""

    name = "tongchou.integrations.jenkins"
    label = "jenkins"
    default_auto_field = "django.db.models.BigAutoField"
