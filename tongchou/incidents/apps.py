"""Names the room for Django."""

from tongchou.core.apps import RoomConfig


class IncidentsConfig(RoomConfig):
    """The application of the incidents room."""

    default = True
    name = "tongchou.incidents"
    label = "incidents"
    default_auto_field = "django.db.models.BigAutoField"
