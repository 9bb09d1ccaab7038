"""Names the room for Django."""

from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    """The application of the incidents room."""

    name = "tongchou.incidents"
    label = "incidents"
    default_auto_field = "django.db.models.BigAutoField"
