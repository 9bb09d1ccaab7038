"""China's calendar as the migration makes it, for tests after one that emptied the tables."""

from __future__ import annotations

from importlib import import_module

from django.apps import apps

MIGRATION = import_module("tongchou.core.migrations.0007_calendars_and_consent")


def make_china() -> None:
    """Run what the migration runs; a second time it changes nothing."""
    MIGRATION.china(apps, None)
