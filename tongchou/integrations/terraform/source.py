"""The inventory source "terraform": a state file, read from an allowed folder or handed over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.integrations.terraform import state
from tongchou.inventory import documents, source_settings
from tongchou.inventory.documents import FILE_SETTINGS, Document
from tongchou.inventory.observation import Observation


class TerraformSource:
    """Says what a state says was made. That it still is so is for a cloud's own inventory to tell: hence the weight."""

    kind: str = "terraform"
    title: Any = _("Terraform or OpenTofu state")
    precedence: int = 150
    declares: bool = True  # a state holds what was meant and applied
    interval_seconds: float = 300.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **FILE_SETTINGS,
            "owner_tag": {
                "type": "string",
                "maxLength": 120,
                "description": _("the tag whose value is the name of the team that owns a thing"),
            },
            "tags": {
                "type": "array",
                "default": [],
                "items": {"type": "string", "maxLength": 120},
                "description": _("names of tags that become attributes, too, and so fill fields of that name"),
            },
            "others": {
                "type": "boolean",
                "default": True,
                "description": _("also types that are not known by name, each as a kind of its own"),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        return source_settings.filled(self.settings_schema, settings)

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Read the file of the settings once; raises Problem, and then nothing known is touched."""
        return self.read(settings, documents.of_settings(settings), source=source)

    def read(self, settings: Mapping[str, Any], document: Document, *, source: str) -> Observation:
        """Return what a state says; raises Invalid naming the place."""
        return state.observed(
            documents.json_of(document),
            source=source,
            owner_tag=settings.get("owner_tag", ""),
            others=settings.get("others", True),
            tags=settings.get("tags", ()),
        )


SOURCE = TerraformSource()
