"""Changes of a definition: panels put in, taken out, doubled and moved; rows added, named, moved and removed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import NotFound
from tongchou.telemetry.dashboards.definition import Definition, Panel, Row, placed
from tongchou.telemetry.dashboards.layout import Place, fitted, height


def row_of(definition: Definition, panel_id: int) -> int:
    """Return the place of the row a panel stands in. Raises NotFound."""
    for at, row in enumerate(definition.rows):
        if any(each.id == panel_id for each in row.panels):
            return at
    raise no_panel(panel_id)


def no_panel(panel_id: int) -> NotFound:
    """Return the refusal for a panel that is not there."""
    return NotFound(
        "dashboard.no_panel",
        _("This dashboard has no such panel any more."),
        field="panel",
        value=panel_id,
        remedy=_("Reload the page."),
    )


def _row(definition: Definition, at: int) -> Row:
    if not 0 <= at < len(definition.rows):
        raise NotFound(
            "dashboard.no_row",
            _("This dashboard has no such row any more."),
            field="row",
            value=at,
            remedy=_("Reload the page."),
        )
    return definition.rows[at]


def _with_row(definition: Definition, at: int, row: Row) -> Definition:
    rows = list(definition.rows)
    rows[at] = placed(row)
    return replace(definition, rows=tuple(rows))


def with_panel(definition: Definition, panel: Panel, *, row: int | None = None) -> Definition:
    """Put a panel in: in the place of the one of its id, else at the end of a row, the last one unless said."""
    if definition.panel(panel.id) is not None:
        at = row_of(definition, panel.id)
        found = definition.rows[at]
        kept = tuple(panel if each.id == panel.id else each for each in found.panels)
        return _with_row(definition, at, replace(found, panels=kept))
    if not definition.rows:
        definition = replace(definition, rows=(Row(),))
    at = len(definition.rows) - 1 if row is None else row
    found = _row(definition, at)
    return _with_row(definition, at, replace(found, panels=(*found.panels, _at_end(found, panel))))


def _at_end(row: Row, panel: Panel) -> Panel:
    """The panel beside the last one when there is room, else below all."""
    last = row.panels[-1] if row.panels else None
    if last is not None and last.x + last.w + panel.w <= 24:
        return replace(panel, x=last.x + last.w, y=last.y)
    return replace(panel, x=0, y=height([each.place for each in row.panels]))


def without_panel(definition: Definition, panel_id: int) -> Definition:
    """Take a panel out. Raises NotFound."""
    at = row_of(definition, panel_id)
    found = definition.rows[at]
    return _with_row(definition, at, replace(found, panels=tuple(each for each in found.panels if each.id != panel_id)))


def doubled(definition: Definition, panel_id: int) -> Definition:
    """Put a copy of a panel below it. Raises NotFound."""
    at = row_of(definition, panel_id)
    found = definition.rows[at]
    panel = next(each for each in found.panels if each.id == panel_id)
    copy = replace(panel, id=definition.next_id(), y=panel.y + panel.h)
    pushed = [replace(each, y=each.y + copy.h) if each.y >= copy.y else each for each in found.panels]
    return _with_row(definition, at, replace(found, panels=(*pushed, copy)))


def rearranged(definition: Definition, places: Mapping[int, tuple[int, Place]]) -> Definition:
    """Put panels at (row, place); those that are not named stay. Raises NotFound for a row or panel that is gone."""
    rows: list[list[Panel]] = [[each for each in row.panels if each.id not in places] for row in definition.rows]
    for panel_id, (row, wanted) in places.items():
        row_of(definition, panel_id)
        _row(definition, row)
        panel = definition.panel(panel_id)
        at = fitted(wanted)
        if panel is not None:
            rows[row].append(replace(panel, x=at.x, y=at.y, w=at.w, h=at.h))
    made = tuple(placed(replace(row, panels=tuple(panels))) for row, panels in zip(definition.rows, rows, strict=True))
    return replace(definition, rows=made)


def with_new_row(definition: Definition, title: str) -> Definition:
    """Add an empty row at the end."""
    return replace(definition, rows=(*definition.rows, Row(title)))


def named_row(definition: Definition, at: int, title: str, *, collapsed: bool) -> Definition:
    """Give a row a title, and say whether it begins folded."""
    return _with_row(definition, at, replace(_row(definition, at), title=title, collapsed=collapsed))


def moved_row(definition: Definition, at: int, by: int) -> Definition:
    """Move a row up (by -1) or down (1), as far as there is room."""
    rows: list[Row] = list(definition.rows)
    row = _row(definition, at)
    rows.pop(at)
    rows.insert(max(0, min(len(rows), at + by)), row)
    return replace(definition, rows=tuple(rows))


def without_row(definition: Definition, at: int) -> Definition:
    """Remove a row; its panels go to the end of the row above, of the one below when it is the first, or with it."""
    gone = _row(definition, at)
    rest = [row for place, row in enumerate(definition.rows) if place != at]
    if not rest or not gone.panels:
        return replace(definition, rows=tuple(rest))
    target = max(0, at - 1)
    rest[target] = placed(_joined(rest[target], gone.panels))
    return replace(definition, rows=tuple(rest))


def _joined(row: Row, panels: Sequence[Panel]) -> Row:
    below = height([each.place for each in row.panels])
    return replace(row, panels=(*row.panels, *(replace(each, y=each.y + below) for each in panels)))
