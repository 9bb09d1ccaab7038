"""The Django app of this room."""

from django.apps import AppConfig


class ChangesConfig(AppConfig):
    """Names the room for Django."""

    name = "tongchou.changes"
    label = "changes"
    default_auto_field = "django.db.models.BigAutoField"
