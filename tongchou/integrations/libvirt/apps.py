"""The Django app of libvirt: it has a run-time setting."""

from django.apps import AppConfig


class LibvirtConfig(AppConfig):
    """Names the integration for Django."""

    name = "tongchou.integrations.libvirt"
    label = "libvirt"
    default_auto_field = "django.db.models.BigAutoField"
