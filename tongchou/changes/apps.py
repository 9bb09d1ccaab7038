"""Names the room for Django."""

from django.apps import AppConfig


class ChangesConfig(AppConfig):
    """The application of the changes room."""

    name = "tongchou.changes"
    label = "changes"
    default_auto_field = "django.db.models.BigAutoField"
