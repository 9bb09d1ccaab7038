"""Starts core: finds what the rooms registered."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CoreConfig(AppConfig):
    """Registers followers, jobs and duties of every installed room."""

    name = "tongchou.core"
    label = "core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """All models are loaded here: Django calls ready() after the last of them."""
        autodiscover_modules("sign_in_events", "upkeep", "run_time_settings", "followers", "jobs", "duties")
