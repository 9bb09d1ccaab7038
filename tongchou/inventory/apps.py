"""Names the room for Django."""

from django.apps import AppConfig


class InventoryConfig(AppConfig):
    """The application of the inventory room."""

    name = "tongchou.inventory"
    label = "inventory"
    default_auto_field = "django.db.models.BigAutoField"
