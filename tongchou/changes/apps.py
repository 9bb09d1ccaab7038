"""Names the room for Django."""

from tongchou.core.apps import RoomConfig


class ChangesConfig(RoomConfig):
    """The application of the changes room."""

    default = True
    name = "tongchou.changes"
    label = "changes"
    default_auto_field = "django.db.models.BigAutoField"
