"""Names the room for Django."""

from tongchou.core.apps import RoomConfig


class InventoryConfig(RoomConfig):
    """The application of the inventory room."""

    default = True
    name = "tongchou.inventory"
    label = "inventory"
    default_auto_field = "django.db.models.BigAutoField"
