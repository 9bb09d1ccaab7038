"""Core is started: what the rooms register is found."""

from django.apps import apps

from tongchou.core.apps import CoreConfig
from tongchou.core.nouns import nouns


def test_core_is_started_by_its_own_configuration() -> None:
    assert isinstance(apps.get_app_config("core"), CoreConfig)
    assert nouns()
