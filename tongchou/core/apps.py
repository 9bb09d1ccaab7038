"""Starts core: finds the nouns a room keeps beside models.py (ADR 0013), and what the rooms registered."""

from importlib import import_module
from pathlib import Path

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

DISCOVERED = (
    "nouns", "tables", "bulk", "imports",
    "sign_in_events", "sign_in_settings", "upkeep", "run_time_settings", "followers", "notices", "jobs", "duties",
    "keeping",
    "health_checks", "database_checks", "address_checks", "node_checks", "self_metrics", "modules_offered",
)  # fmt: skip


class RoomConfig(AppConfig):
    """A room whose nouns lie in `models.py` and in files `models_TOPIC.py` beside it."""

    default = False  # of two configurations in a file Django takes none unless one says so

    def import_models(self) -> None:
        """Import all of them while Django loads models, so that migrations and relations know each."""
        super().import_models()
        for file in sorted(Path(self.path).glob("models_*.py")):
            import_module(f"{self.name}.{file.stem}")


class CoreConfig(RoomConfig):
    """Registers followers, jobs and duties of every installed room."""

    default = True
    name = "tongchou.core"
    label = "core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """All models are loaded here: Django calls ready() after the last of them."""
        autodiscover_modules(*DISCOVERED)
