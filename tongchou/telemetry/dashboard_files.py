"""Dashboards as files: ours and Grafana's, read with notes of what was not understood, and written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import BadRequest, TooLarge
from tongchou.telemetry.dashboard_actions import CONTENT, Content, content
from tongchou.telemetry.dashboard_reads import content_of
from tongchou.telemetry.dashboards import grafana_read, grafana_write
from tongchou.telemetry.dashboards.choose import ordered
from tongchou.telemetry.dashboards.definition import parse
from tongchou.telemetry.dashboards.grafana_notes import Note
from tongchou.telemetry.models import Dashboard

Form = Literal["own", "grafana"]
MAX_BYTES = grafana_read.MAX_FILE_BYTES


@dataclass(frozen=True)
class Loaded:
    """What a file holds; `notes`: what of it is lost or changed; `origin` as Dashboard has it."""

    made: Content
    notes: tuple[Note, ...]
    origin: str

    def count(self, weight: str) -> int:
        """How many notes are of this weight."""
        return sum(1 for each in self.notes if each.weight == weight)


def load(text: str) -> Loaded:
    """Read the text of a file. Raises TooLarge, BadRequest for no JSON, Invalid for no dashboard."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise TooLarge(
            "dashboard.file_too_large",
            _("The file is larger than %(most)d MB.") % {"most": MAX_BYTES // 1_000_000},
            field="file",
        )
    try:
        return load_value(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            "dashboard.no_json",
            _("This is no JSON: %(error)s") % {"error": str(error)[:200]},
            field="file",
            remedy=_("Choose the file that was exported, unchanged."),
        ) from error


def load_value(value: object) -> Loaded:
    """Read a file's JSON: ours has a definition, anything else is taken for Grafana's. Raises Invalid, TooLarge."""
    if isinstance(value, dict) and "definition" in value:
        return Loaded(content({key: value[key] for key in CONTENT if key in value}), (), "file")
    found = grafana_read.read(value)
    ordered(found.definition.variables)
    title = found.title or str(_("Dashboard"))
    made = Content(title=title, definition=found.definition, tags=found.tags, description=found.description)
    return Loaded(made, found.notes, "grafana")


def dump(row: Dashboard, form: Form) -> dict[str, Any]:
    """Return a dashboard as JSON that `load_value` reads."""
    if form == "own":
        return content_of(row)
    return grafana_write.write(
        name=row.name,
        title=row.title,
        tags=row.tags,
        description=row.description,
        definition=parse(row.definition),
    )
