"""Declares the pages as a Django app, for templates, tags and static files."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """No models; see the package docstring."""

    name = "tongchou.web"
    label = "web"
