"""The Django app of this integration: it has a check of the installation."""

from django.apps import AppConfig


class PrometheusBackendConfig(AppConfig):
    """Names the integration for Django."""

    name = "tongchou.integrations.prometheus_backend"
    label = "prometheus_backend"
    default_auto_field = "django.db.models.BigAutoField"
