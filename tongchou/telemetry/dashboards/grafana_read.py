"""A dashboard of Grafana (7 to 12, and the older kind with rows) as one of ours, and what was not understood. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, TooLarge
from tongchou.telemetry.dashboards import grafana_panels, words
from tongchou.telemetry.dashboards.definition import DURATION, NAME, Definition, Panel, Row, Variable, parse, placed
from tongchou.telemetry.dashboards.grafana_notes import DASHBOARD, Note, Notes
from tongchou.telemetry.dashboards.grafana_words import OUR_SORT, UNIT_SECONDS, nearest_range
from tongchou.telemetry.dashboards.layout import COLUMNS
from tongchou.telemetry.dashboards.taken import Taken, as_number, clean, shown

MAX_FILE_BYTES = 5_000_000
MAX_READ_PANELS = 1000
MAX_DEPTH = 60
_KNOWN = re.compile(r"\s*(label_values|label_names|metrics|query_result)\s*\(.*\)\s*", re.DOTALL)
_INPUT = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
VARIABLES = {"query": "query", "custom": "custom", "constant": "constant", "interval": "interval", "textbox": "textbox"}


@dataclass(frozen=True)
class Read:
    """What a file became, and what of it did not."""

    title: str
    tags: tuple[str, ...]
    description: str
    definition: Definition
    notes: tuple[Note, ...]


def read(value: object) -> Read:
    """Return the dashboard that a file of Grafana tells. Raises Invalid for what is none, or goes over our limits."""
    model = _model(value)
    notes = Notes()
    taken = Taken(_with_inputs(model))
    title = notes.clipped(DASHBOARD, "title", taken.text("title").strip(), words.MAX_TITLE)
    tags = taken.take("tags")
    definition = Definition(
        rows=_rows(taken, notes),
        variables=_variables(taken.inner("templating"), notes),
        range=_range(taken, notes),
        refresh_seconds=_refresh(taken, notes),
        marks=_marks(taken.inner("annotations"), notes),
    )
    description = notes.clipped(DASHBOARD, "description", taken.text("description"), 20_000)
    notes.rest(DASHBOARD, "dashboard", taken)
    return Read(title, _tags(tags), description, parse(definition.as_json()), notes.done())


def _tags(value: object) -> tuple[str, ...]:
    found = [clean(each).strip()[:50] for each in value if isinstance(each, str)] if isinstance(value, list) else []
    return tuple(dict.fromkeys(each for each in found if each))[:20]


# --- the file ---------------------------------------------------------------------------------------------------------


def _model(value: object) -> dict[str, Any]:
    """The dashboard within {"dashboard": ...} of the API, or within the spec of Grafana 12's resources."""
    found = value
    for key in ("dashboard", "spec"):
        if (
            isinstance(found, dict)
            and isinstance(found.get(key), dict)
            and "panels" not in found
            and "rows" not in found
        ):
            found = found[key]
    if isinstance(found, dict) and "elements" in found and "layout" in found:
        raise Invalid(
            "grafana.new_schema",
            _("This is Grafana's new schema (v2), which is not read."),
            field="spec",
            remedy=_("Export it in Grafana as the classic model (JSON)."),
        )
    if not isinstance(found, dict) or not (
        isinstance(found.get("panels"), list) or isinstance(found.get("rows"), list)
    ):
        raise Invalid(
            "grafana.no_dashboard",
            _("This is no dashboard of Grafana: it has neither panels nor rows."),
            field="panels",
            remedy=_("In Grafana: open the dashboard, Share or Export, JSON."),
        )
    return found


def _with_inputs(model: dict[str, Any]) -> dict[str, Any]:
    """Put the constants of a file of grafana.com in their places. Raises TooLarge for JSON nested too deep."""
    inputs = model.get("__inputs")
    constants: dict[str, str] = {}
    for each in inputs if isinstance(inputs, list) else []:
        if isinstance(each, dict) and each.get("type") == "constant" and isinstance(each.get("name"), str):
            constants[each["name"]] = str(each.get("value") or "")
    filled = _filled(model, constants, 0)
    return filled if isinstance(filled, dict) else {}


def _filled(value: Any, constants: dict[str, str], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise TooLarge("grafana.too_deep", _("The file is nested too deep."), field="panels")
    if isinstance(value, str):
        return _INPUT.sub(lambda found: constants.get(found[1], found[0]), value) if constants else value
    if isinstance(value, list):
        return [_filled(each, constants, depth + 1) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, constants, depth + 1) for key, each in value.items()}
    return value


# --- rows and panels --------------------------------------------------------------------------------------------------


def _rows(taken: Taken, notes: Notes) -> tuple[Row, ...]:
    ids = _Ids()
    rows = list(_old_rows(taken, ids, notes)) if taken.has("rows") else list(_new_rows(taken, ids, notes))
    if len(rows) > words.MAX_ROWS:
        kept, behind = rows[: words.MAX_ROWS - 1], rows[words.MAX_ROWS - 1 :]
        notes.changed(DASHBOARD, f"rows: {len(rows)}", _("There are too many rows; the last ones are one."))
        rows = [*kept, _one(behind)]
    return tuple(placed(row) for row in rows)


def _one(rows: list[Row]) -> Row:
    """Several rows below each other as one."""
    panels: list[Panel] = []
    for row in rows:
        below = max((each.y + each.h for each in panels), default=0)
        panels += [replace(each, y=each.y + below) for each in row.panels]
    return Row(rows[0].title, rows[0].collapsed, tuple(panels))


class _Ids:
    """The ids of a file as far as they are usable and unlike each other; others get the next free one."""

    def __init__(self) -> None:
        self.used: set[int] = set()

    def of(self, taken: Taken) -> int:
        found = taken.take("id")
        usable = isinstance(found, int) and not isinstance(found, bool) and 0 < found <= words.MAX_ID
        if not usable or found in self.used:
            found = next(each for each in range(1, words.MAX_ID) if each not in self.used)
        self.used.add(found)
        if len(self.used) > MAX_READ_PANELS:
            raise TooLarge("grafana.too_many", _("The file has more than %(most)d panels.") % {"most": MAX_READ_PANELS})
        return int(found)


def _place(taken: Taken) -> tuple[int, int, int, int]:
    found = taken.apart("gridPos")
    numbers = [as_number(found.take(key)) for key in "xywh"]
    x, y, w, h = (
        default if each is None else round(max(-1e6, min(1e6, each)))
        for each, default in zip(numbers, (0, 0, 12, 8), strict=True)
    )
    return max(0, x), max(0, y), w, h


def _new_rows(taken: Taken, ids: _Ids, notes: Notes) -> Iterator[Row]:
    """Panels stand in the row above them; those of a folded row stand in it."""
    found = [(each, _place(each)) for each in taken.each_apart("panels")]
    title, folded, panels, begun = "", False, [], False
    for each, place in sorted(found, key=lambda pair: pair[1][1]):
        if each.peek("type") != "row":
            panels.append(grafana_panels.panel(each, ids.of(each), place, notes))
            continue
        if panels or begun:
            yield Row(title, folded, tuple(panels))
        title, folded, panels, begun = *_row(each, "collapsed", notes), [], True
        panels += [grafana_panels.panel(one, ids.of(one), _place(one), notes) for one in each.each_apart("panels")]
        notes.rest(title or _("Row"), "row", each)
    if panels or begun:
        yield Row(title, folded, tuple(panels))


def _row(taken: Taken, key: str, notes: Notes) -> tuple[str, bool]:
    return notes.clipped(_("Row"), "title", taken.text("title"), words.MAX_TITLE), taken.flag(key)


def _old_rows(taken: Taken, ids: _Ids, notes: Notes) -> Iterator[Row]:
    """Rows of before Grafana 5: panels side by side with a span of twelve, one height for all."""
    for each in taken.each_apart("rows"):
        shown_title = each.peek("showTitle") is not False
        title, folded = _row(each, "collapse", notes)
        height = each.take("height")
        panels, x, y = [], 0, 0
        for one in each.each_apart("panels"):
            w = max(1, min(COLUMNS, round((as_number(one.take("span")) or 4) * 2)))
            h = _lines(one.take("height") or height)
            if x + w > COLUMNS:
                x, y = 0, y + h
            panels.append(grafana_panels.panel(one, ids.of(one), (x, y, w, h), notes))
            x += w
        notes.rest(title or _("Row"), "row", each)
        yield Row(title if shown_title or folded else "", folded, tuple(panels))


def _lines(height: object) -> int:
    """Pixels ("250px") as lines of the grid."""
    pixels = as_number(height.removesuffix("px") if isinstance(height, str) else height) or 250
    return max(3, min(40, round(pixels / 36)))


# --- variables --------------------------------------------------------------------------------------------------------


def _variables(taken: Taken, notes: Notes) -> tuple[Variable, ...]:
    out: dict[str, Variable] = {}
    for each in taken.each_apart("list"):
        made = _variable(each, notes)
        if made is not None and made.name in out:
            notes.lost(f"${made.name}", "name", _("There is another variable of this name."))
        elif made is not None and len(out) == words.MAX_VARIABLES:
            notes.lost(f"${made.name}", "name", _("There are too many; those behind are left out."))
        elif made is not None:
            out[made.name] = made
    return tuple(out.values())


def _variable(taken: Taken, notes: Notes) -> Variable | None:
    name, theirs = taken.text("name"), taken.text("type") or "query"
    where = f"${name or '?'}"[:80]
    if theirs == "datasource":
        notes.lost(
            where, "type: datasource", _("Every query asks this platform; a choice of data sources is not wanted.")
        )
        return None
    kind = VARIABLES.get(theirs)
    if kind is None or not NAME.fullmatch(name):
        why = _("There is no such kind of variable here.") if kind is None else _("This is no name of a variable.")
        notes.lost(where, f"type: {shown(theirs)}, name: {shown(name)}", why)
        return None
    made = Variable(
        name=name,
        kind=kind,
        label=notes.clipped(where, "label", taken.text("label"), words.MAX_TITLE),
        query=notes.clipped(where, "query", _query(taken, kind, where, notes), words.MAX_EXPR),
        regex=notes.clipped(where, "regex", taken.text("regex"), 1000),
        sort=_sort(taken, where, notes),
        multi=taken.flag("multi"),
        all=taken.flag("includeAll"),
        all_value=notes.clipped(where, "allValue", taken.text("allValue"), 1000),
        value=_value(taken.apart("current").take("value")),
        hide=taken.number("hide") == 2,
    )
    notes.rest(where, "variable", taken)
    return made


def _query(taken: Taken, kind: str, where: str, notes: Notes) -> str:
    inner = taken.apart("query")
    query = inner.text("query") or taken.text("query")
    notes.rest(where, "variable", inner, "query.")
    query = query or (taken.text("definition") if kind == "query" else "")
    if kind == "query" and not _KNOWN.fullmatch(query):
        notes.changed(where, f"query: {shown(query)}", _("It is no query of Prometheus; there will be no options."))
    if kind == "interval":
        there = [each.strip() for each in query.split(",") if each.strip()]
        good = [each for each in there if DURATION.fullmatch(each)]
        for each in there:
            if each not in good:
                notes.lost(where, f"query: {shown(each)}", _("This is no duration."))
        return query if good == there else ",".join(good)
    return query


def _sort(taken: Taken, where: str, notes: Notes) -> str:
    theirs = taken.number("sort")
    ours = OUR_SORT.get(round(theirs or 0))
    if ours is None:
        notes.changed(where, f"sort: {shown(theirs)}", _("The options are not sorted."))
    return ours or ""


def _value(value: object) -> tuple[str, ...]:
    found = value if isinstance(value, list) else [] if value is None else [value]
    texts = [
        clean(each) if isinstance(each, str) else f"{each:g}" for each in found if isinstance(each, str | int | float)
    ]
    return tuple(each[:1000] for each in texts if not each.startswith("$__auto"))[: words.MAX_VALUES]


# --- the rest ---------------------------------------------------------------------------------------------------------


def _range(taken: Taken, notes: Notes) -> str:
    time = taken.apart("time")
    start, end = time.take("from"), time.take("to")
    if start is None:
        return "1h"
    found = re.fullmatch(r"now-(\d{1,6})([smhdwMy])", start) if isinstance(start, str) else None
    if found is None or end not in (None, "now"):
        notes.changed(DASHBOARD, f"time: {shown(start)} – {shown(end)}", _("It opens with the last hour."))
        return "1h"
    seconds = int(found[1]) * UNIT_SECONDS[found[2]]
    ours = nearest_range(seconds)
    if seconds != words.RANGE_SECONDS[words.RANGES.index(ours)]:
        notes.changed(DASHBOARD, f"time: {start}", _("It opens with the last %(range)s.") % {"range": ours})
    return ours


def _refresh(taken: Taken, notes: Notes) -> int:
    value = taken.take("refresh")
    if not value:
        return 0
    found = re.fullmatch(r"(\d{1,6})([smhd])", value) if isinstance(value, str) else None
    seconds = int(found[1]) * UNIT_SECONDS[found[2]] if found else 0
    fitting = max(5, min(86_400, seconds)) if seconds else 0
    if fitting != seconds or found is None:
        notes.changed(
            DASHBOARD,
            f"refresh: {shown(value)}",
            _("It is refreshed as often as the time range suggests, at most each 5 seconds."),
        )
    return fitting


def _marks(taken: Taken, notes: Notes) -> bool:
    marks = True
    for each in taken.each_apart("list"):
        name, enabled = each.text("name"), each.take("enable")
        if each.take("builtIn"):
            marks = enabled is not False
        else:
            notes.lost(DASHBOARD, f"annotations: {shown(name)}", _("Marks on graphs are the changes in the ledger."))
    return marks
