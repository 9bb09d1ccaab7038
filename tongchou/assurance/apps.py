"""Names the room for Django."""

from tongchou.core.apps import RoomConfig


class AssuranceConfig(RoomConfig):
    """The application of the assurance room: it has no tables of its own."""

    default = True
    name = "tongchou.assurance"
    label = "assurance"
    default_auto_field = "django.db.models.BigAutoField"
