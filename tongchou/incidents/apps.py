"""The Django app of this room."""

from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    """Names the room for Django."""

    name = "tongchou.incidents"
    label = "incidents"
    default_auto_field = "django.db.models.BigAutoField"
