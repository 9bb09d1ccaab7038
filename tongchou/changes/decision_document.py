"""A decision record as Markdown, in the language spoken now."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from tongchou.changes.availability import downtime_minutes
from tongchou.changes.models_requirements import Decision

_HEADING = re.compile(r"^(\s*)(#|=|-{3,})", re.MULTILINE)


def inline(text: object) -> str:
    """Return a text as one line that is no markup: of a table's cell, or of a heading."""
    found = " ".join(str(text).split())
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", found)


def markdown(row: Decision) -> str:
    """Return the whole record. Its own texts are Markdown already; their headings are lowered into text."""
    sections = [(_("Context"), _text(row.context))]
    if row.considered:
        sections.append((_("Options considered"), _options(row.considered, row.option.name if row.option else "")))
    sections += [(pgettext("design", "Decision"), _text(row.decision)), (_("Consequences"), _text(row.consequences))]
    parts = [f"# {row.name} {inline(row.title)}", _facts(row), *(f"## {name}\n\n{text}" for name, text in sections)]
    return "\n\n".join(parts) + "\n"


def _facts(row: Decision) -> str:
    said = [(_("Status"), str(row.get_status_display()))]
    if row.requirement is not None:
        said.append((_("Requirement"), row.requirement.name))
    if row.decided_at is not None:
        said.append((_("Decided"), f"{row.decided_at:%Y-%m-%d}, {inline(row.decided_by_name)}"))
    if row.supersedes is not None:
        said.append((_("Supersedes"), row.supersedes.name))
    later = [each.name for each in row.superseded_by.all() if each.status != "proposed"]
    if later:
        said.append((_("Superseded by"), ", ".join(later)))
    if row.content_hash:
        said.append((_("Bound to hash"), f"`{row.content_hash}`"))
    return "\n".join(f"- {name}: {value}" for name, value in said)


def _text(text: str) -> str:
    return _HEADING.sub(r"\1\\\2", text.strip()) or "–"


def _options(considered: list[dict[str, Any]], chosen: str) -> str:
    names = [
        _("Option"),
        _("Availability"),
        _("Down a year"),
        _("Purchase"),
        _("A month"),
        _("Lead time"),
        _("Meets it"),
    ]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    words = {True: _("yes"), False: _("no"), None: _("cannot be told")}
    for each in considered:
        name = inline(each["name"])
        share = each["availability"]
        money = [
            f"{each[key]} {each['currency']}" if each[key] else _("not stated") for key in ("capex", "opex_monthly")
        ]
        cells = [
            f"**{name}**" if each["name"] == chosen else name,
            f"{share * 100:.4f} %" if share is not None else _("not stated"),
            f"{downtime_minutes(share):,.1f} min" if share is not None else _("not stated"),
            *money,
            _("%(n)s days") % {"n": each["lead_days"]} if each["lead_days"] is not None else _("not stated"),
            words[each["meets"]],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    reasons = [f"- {inline(each['name'])}: {inline(said['reason'])}" for each in considered for said in each["reasons"]]
    return "\n".join([*lines, "", *reasons] if reasons else lines)
