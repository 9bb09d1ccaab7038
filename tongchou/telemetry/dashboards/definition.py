"""A dashboard's definition: rows of panels, variables, the time it opens with; read from JSON and written as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import TooLarge
from tongchou.telemetry.dashboards import words
from tongchou.telemetry.dashboards.layout import COLUMNS, MOST_HEIGHT, MOST_Y, Place, compact
from tongchou.telemetry.dashboards.reading import Fields, refuse

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}")
DURATION = re.compile(r"[1-9][0-9]{0,5}(ms|[smhdwy])")


@dataclass(frozen=True, slots=True)
class Query:
    """One question of a panel. `legend` has `{{label}}` places; `instant` asks for the end of the range alone."""

    expr: str
    legend: str = ""
    instant: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Threshold:
    """From `at` on (None: from below everything) a value has this tone."""

    at: float | None
    tone: str


@dataclass(frozen=True, slots=True)
class Name:
    """What a value from `least` to `most` is called, and its tone ("" for that of the thresholds)."""

    least: float
    most: float
    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel on the grid of its row. `id` is unique in the dashboard; `text` is Markdown, of a text panel."""

    id: int
    kind: str = "graph"
    title: str = ""
    description: str = ""
    x: int = 0
    y: int = 0
    w: int = 12
    h: int = 8
    queries: tuple[Query, ...] = ()
    unit: str = ""
    decimals: int | None = None
    min: float | None = None
    max: float | None = None
    thresholds: tuple[Threshold, ...] = ()
    names: tuple[Name, ...] = ()
    draw: str = "lines"
    stack: bool = False
    reduce: str = "last"
    text: str = ""

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.x, self.y, self.w, self.h)


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading that may be folded away."""

    title: str = ""
    collapsed: bool = False
    panels: tuple[Panel, ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """A value that queries name. `value` is what is chosen until somebody chooses.

    `query` is, by kind: label_values(...) and the like, the options separated by commas, the constant, the durations,
    or the text a textbox begins with.
    """

    name: str
    kind: str = "query"
    label: str = ""
    query: str = ""
    regex: str = ""
    sort: str = ""
    multi: bool = False
    all: bool = False
    all_value: str = ""
    value: tuple[str, ...] = ()
    hide: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """Everything a dashboard shows. `marks`: whether changes of the ledger stand on its graphs.

    `refresh_seconds` 0 is as often as the time range suggests.
    """

    rows: tuple[Row, ...] = ()
    variables: tuple[Variable, ...] = ()
    range: str = "1h"
    refresh_seconds: int = 0
    marks: bool = True
    schema: int = field(default=words.SCHEMA)

    def panels(self) -> Iterator[Panel]:
        """Every panel, row by row."""
        for row in self.rows:
            yield from row.panels

    def panel(self, id_: int) -> Panel | None:
        """The panel of an id."""
        return next((each for each in self.panels() if each.id == id_), None)

    def variable(self, name: str) -> Variable | None:
        """The variable of a name."""
        return next((each for each in self.variables if each.name == name), None)

    def next_id(self) -> int:
        """An id no panel has."""
        return max((each.id for each in self.panels()), default=0) + 1

    def as_json(self) -> dict[str, Any]:
        """The definition as JSON, without what is as it is when nothing is said."""
        return {"schema": self.schema, **_lean(asdict(self), Definition(), {"schema"})}


def _keys(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def _lean(value: dict[str, Any], default: Any, said: set[str]) -> dict[str, Any]:
    """Leave out the keys that are as `default` has them; recursively for what is nested."""
    out: dict[str, Any] = {}
    for key, each in value.items():
        if key in said or each == getattr(default, key):
            continue
        if isinstance(each, tuple | list) and key in _NESTED:
            kind, kept = _NESTED[key]
            out[key] = [{name: item[name] for name in kept} | _lean(item, kind, set(kept)) for item in each]
        else:
            out[key] = list(each) if isinstance(each, tuple) else each
    return out


_NESTED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "rows": (Row(), ()),
    "panels": (Panel(0), ("id", "kind", "x", "y", "w", "h")),
    "queries": (Query(""), ("expr",)),
    "thresholds": (Threshold(None, ""), ("at", "tone")),
    "names": (Name(0, 0, ""), ("least", "most", "text")),
    "variables": (Variable(""), ("name", "kind")),
}


# --- reading ----------------------------------------------------------------------------------------------------------


def parse(value: object) -> Definition:
    """Return the definition that JSON tells, its panels moved up as far as they go.

    Raises Invalid naming the first place that is wrong, TooLarge above MAX_BYTES.
    """
    found = Fields(value, "", _keys(Definition))
    check_size(value)
    found.whole("schema", least=words.SCHEMA, most=words.SCHEMA, default=words.SCHEMA)
    rows = tuple(_row(each, path) for path, each in found.items("rows", most=words.MAX_ROWS))
    definition = Definition(
        rows=rows,
        variables=tuple(_variable(each, path) for path, each in found.items("variables", most=words.MAX_VARIABLES)),
        range=found.choice("range", words.RANGES, "1h"),
        refresh_seconds=found.whole("refresh_seconds", least=0, most=86_400, default=0),
        marks=found.flag("marks", default=True),
    )
    _check_whole(definition)
    return definition


def check_size(value: object) -> None:
    """Raise TooLarge for JSON of more than MAX_BYTES."""
    size = len(json.dumps(value, ensure_ascii=False, default=str).encode(errors="replace"))
    if size > words.MAX_BYTES:
        raise TooLarge(
            "dashboard.too_large",
            _("The definition has %(size)d bytes; the limit is %(most)d.") % {"size": size, "most": words.MAX_BYTES},
            field="definition",
            remedy=_("Split it into several dashboards."),
        )


def _check_whole(definition: Definition) -> None:
    panels = list(definition.panels())
    if len(panels) > words.MAX_PANELS:
        raise refuse(
            "rows",
            len(panels),
            _("The dashboard has %(count)d panels; the limit is %(most)d.")
            % {"count": len(panels), "most": words.MAX_PANELS},
        )
    for what, path, all_of in (
        ([each.id for each in panels], "rows.panels.id", _("Two panels have the same id.")),
        ([each.name for each in definition.variables], "variables.name", _("Two variables have the same name.")),
    ):
        twice = next((each for at, each in enumerate(what) if each in what[:at]), None)
        if twice is not None:
            raise refuse(path, twice, all_of)
    if 0 < definition.refresh_seconds < 5:
        raise refuse("refresh_seconds", definition.refresh_seconds, _("At least 5 seconds lie between two refreshes."))


def _row(value: object, path: str) -> Row:
    found = Fields(value, path, _keys(Row))
    panels = [_panel(each, at) for at, each in found.items("panels", most=words.MAX_PANELS)]
    return placed(Row(found.text("title", most=words.MAX_TITLE), found.flag("collapsed"), tuple(panels)))


def placed(row: Row) -> Row:
    """Return the row with its panels moved up, in the order in which they are read."""
    moved = [
        replace(each, x=at.x, y=at.y, w=at.w, h=at.h)
        for each, at in zip(row.panels, compact([each.place for each in row.panels]), strict=True)
    ]
    return replace(row, panels=tuple(sorted(moved, key=lambda each: (each.y, each.x))))


def _panel(value: object, path: str) -> Panel:
    found = Fields(value, path, _keys(Panel))
    kind = found.choice("kind", words.PANEL_KINDS, "graph")
    least, most = found.number("min"), found.number("max")
    if least is not None and most is not None and least >= most:
        raise refuse(found.at("max"), most, _("The greatest value must be above the least."))
    decimals = None
    if found.value.get("decimals") is not None:
        decimals = found.whole("decimals", least=0, most=10, default=0)
    return Panel(
        id=found.whole("id", least=1, most=words.MAX_ID, default=0),
        kind=kind,
        title=found.text("title", most=words.MAX_TITLE),
        description=found.text("description", most=words.MAX_TEXT),
        x=found.whole("x", least=0, most=COLUMNS - 1, default=0),
        y=found.whole("y", least=0, most=MOST_Y, default=0),
        w=found.whole("w", least=1, most=COLUMNS, default=12),
        h=found.whole("h", least=1, most=MOST_HEIGHT, default=8),
        queries=tuple(_query(each, at) for at, each in found.items("queries", most=words.MAX_QUERIES)),
        unit=found.choice("unit", words.UNITS, ""),
        decimals=decimals,
        min=least,
        max=most,
        thresholds=_thresholds(found),
        names=tuple(_name(each, at) for at, each in found.items("names", most=words.MAX_NAMES)),
        draw=found.choice("draw", words.DRAWN, "lines"),
        stack=found.flag("stack"),
        reduce=found.choice("reduce", words.REDUCED, "last"),
        text=found.text("text", most=words.MAX_TEXT),
    )


def _query(value: object, path: str) -> Query:
    found = Fields(value, path, _keys(Query))
    return Query(
        found.text("expr", most=words.MAX_EXPR),
        found.text("legend", most=words.MAX_TITLE),
        found.flag("instant"),
        found.flag("hidden"),
    )


def _thresholds(panel: Fields) -> tuple[Threshold, ...]:
    steps: list[Threshold] = []
    for path, each in panel.items("thresholds", most=words.MAX_THRESHOLDS):
        found = Fields(each, path, _keys(Threshold))
        step = Threshold(found.number("at"), found.choice("tone", words.TONES, "neutral"))
        before = steps[-1].at if steps else None
        if steps and (step.at is None or (before is not None and step.at <= before)):
            raise refuse(found.at("at"), step.at, _("Thresholds ascend; only the first one has no value."))
        steps.append(step)
    return tuple(steps)


def _name(value: object, path: str) -> Name:
    found = Fields(value, path, _keys(Name))
    least, most = found.number("least"), found.number("most")
    if least is None or most is None or least > most:
        raise refuse(found.at("most"), most, _("A value is named from its least to its most."))
    tone = found.choice("tone", ("", *words.TONES), "")
    return Name(least, most, found.text("text", most=words.MAX_TITLE), tone)


def _variable(value: object, path: str) -> Variable:
    found = Fields(value, path, _keys(Variable))
    name = found.text("name", most=50, wanted=True)
    if not NAME.fullmatch(name):
        raise refuse(
            found.at("name"),
            name,
            _("This is no name of a variable."),
            _("Use 1 to 50 letters, digits and underscores, and no digit first."),
        )
    made = Variable(
        name=name,
        kind=found.choice("kind", words.VARIABLE_KINDS, "query"),
        label=found.text("label", most=words.MAX_TITLE),
        query=found.text("query", most=words.MAX_EXPR),
        regex=found.text("regex", most=1000),
        sort=found.choice("sort", words.SORTS, ""),
        multi=found.flag("multi"),
        all=found.flag("all"),
        all_value=found.text("all_value", most=1000),
        value=found.texts("value", most=words.MAX_VALUES, longest=1000),
        hide=found.flag("hide"),
    )
    if made.kind == "interval":
        for _text, each in options_written(made):
            if not DURATION.fullmatch(each):
                raise refuse(found.at("query"), each, _("This is no duration."), _("Write 30s, 5m, 1h or 7d."))
    return made


def options_written(variable: Variable) -> list[tuple[str, str]]:
    r"""Return (text, value) of the options that a variable writes down itself.

    "a, b\\, c, Up : 1" are a; "b, c"; and 1, called Up.
    """
    if variable.kind == "constant":
        return [(variable.query, variable.query)]
    if variable.kind not in ("custom", "interval"):
        return []
    found = []
    for each in re.split(r"(?<!\\),", variable.query):
        written = each.replace("\\,", ",").strip()
        named = re.fullmatch(r"(.*\S)\s+:\s+(\S.*)", written) if variable.kind == "custom" else None
        if written:
            found.append((named[1], named[2]) if named else (written, written))
    return found
