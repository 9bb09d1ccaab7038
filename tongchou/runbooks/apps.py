"""The Django app of this room."""

from django.apps import AppConfig


class RunbooksConfig(AppConfig):
    """Names the room for Django."""

    name = "tongchou.runbooks"
    label = "runbooks"
    default_auto_field = "django.db.models.BigAutoField"
