"""A panel of Grafana as one of ours, with notes of what it loses. Pure."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.telemetry.dashboards import words
from tongchou.telemetry.dashboards.definition import Name, Panel, Query, Threshold
from tongchou.telemetry.dashboards.grafana_notes import Notes
from tongchou.telemetry.dashboards.grafana_words import ALIKE, EXACT, OUR_REDUCER, OUR_UNIT, PANELS, tone_of
from tongchou.telemetry.dashboards.layout import COLUMNS, MOST_HEIGHT, MOST_Y
from tongchou.telemetry.dashboards.taken import Taken, as_number, shown

OURS = "tongchou-logs"  # the type of data source of the log panels that we wrote
PROMETHEUS = ("prometheus", "victoriametrics", "amazonprometheus", "azureprometheus", "thanos", "mimir", "tongchou")


def panel(taken: Taken, id_: int, place: tuple[int, int, int, int], notes: Notes) -> Panel:
    """Return the panel at `place` (x, y, w, h)."""
    title = notes.clipped(_("Panel"), "title", taken.text("title"), words.MAX_TITLE)
    theirs = taken.text("type") or "graph"
    where = title or f"{theirs} #{id_}"
    options, field = taken.apart("options"), taken.apart("fieldConfig")
    defaults = field.apart("defaults")
    custom = defaults.apart("custom")
    queries = _queries(taken, theirs, where, notes)
    kind, text = _kind(theirs, queries, where, notes), _text(taken, options, where, notes)
    if kind == "text" and theirs not in PANELS:
        text = str(_("This was a panel of the kind %(kind)s in Grafana.") % {"kind": theirs})
    yaxis = _first_axis(taken)
    least, most = _ends(taken, defaults, yaxis, where, notes)
    x, y, w, h = place
    made = Panel(
        id=id_,
        kind=kind,
        title=title,
        description=notes.clipped(where, "description", taken.text("description"), words.MAX_TEXT),
        x=max(0, min(COLUMNS - 1, x)),
        y=max(0, min(MOST_Y, y)),
        w=max(1, min(COLUMNS - max(0, min(COLUMNS - 1, x)), w)),
        h=max(1, min(MOST_HEIGHT, h)),
        queries=queries,
        unit=_unit(taken, defaults, yaxis, where, notes),
        decimals=_decimals(taken, defaults, yaxis),
        min=least,
        max=most,
        thresholds=_thresholds(taken, defaults, custom, theirs, (least, most), where, notes),
        names=_names(taken, defaults, where, notes),
        draw=_draw(taken, custom, where, notes),
        stack=_stack(taken, custom, where, notes),
        reduce=_reduce(taken, options, where, notes),
        text=text,
    )
    for scope, rest, prefix in (
        ("panel", taken, ""), ("options", options, "options."), ("panel", field, "fieldConfig."),
        ("field", defaults, "fieldConfig.defaults."), ("custom", custom, "fieldConfig.defaults.custom."),
    ):  # fmt: skip
        notes.rest(where, scope, rest, prefix)
    return made


def _kind(theirs: str, queries: tuple[Query, ...], where: str, notes: Notes) -> str:
    kind = PANELS.get(theirs) or ("graph" if queries else "text")
    if theirs not in ALIKE:
        notes.changed(
            where,
            f"type: {shown(theirs)}",
            _("There is no such panel here; it is shown as: %(kind)s.") % {"kind": kind},
        )
    return kind


def _text(taken: Taken, options: Taken, where: str, notes: Notes) -> str:
    mode = options.text("mode") if options.peek("mode") in ("markdown", "html", "code") else ""
    text = options.text("content") or taken.text("content")
    if text and (mode or taken.text("mode")) == "html":
        notes.changed(where, "options.mode: html", _("Markup is shown as text; Markdown is understood."))
    return notes.clipped(where, "options.content", text, words.MAX_TEXT)


# --- queries ----------------------------------------------------------------------------------------------------------


def _source_type(taken: Taken) -> str:
    found = taken.take("datasource")
    return str(found.get("type") or "") if isinstance(found, dict) else ""


def _queries(taken: Taken, theirs: str, where: str, notes: Notes) -> tuple[Query, ...]:
    of_panel = _source_type(taken)
    out: list[Query] = []
    for place, each in enumerate(taken.each_apart("targets")):
        at = f"targets[{place}]"
        source = _source_type(each) or of_panel
        expr = each.text("expr")
        read = source == OURS if theirs == "logs" else not source or any(name in source for name in PROMETHEUS)
        if not read:
            what = expr or next((shown(value) for _key, value in each.left()), source)
            notes.lost(
                where,
                f"{at} ({source or theirs}): {shown(what)}",
                _("Only PromQL is understood, and no query of another store."),
            )
            continue
        legend = each.text("legendFormat")
        query = Query(
            notes.clipped(where, f"{at}.expr", expr, words.MAX_EXPR),
            notes.clipped(where, f"{at}.legendFormat", "" if legend == "__auto" else legend, words.MAX_TITLE),
            each.flag("instant"),
            each.flag("hide"),
        )
        notes.rest(where, "target", each, f"{at}.")
        if len(out) == words.MAX_QUERIES:
            notes.lost(where, f"{at}.expr: {shown(expr)}", _("A panel has too many queries."))
        else:
            out.append(query)
    return tuple(out)


# --- numbers ----------------------------------------------------------------------------------------------------------


def _first_axis(taken: Taken) -> Taken:
    """The left axis of an old graph. The right one only tells looks: overrides, which are told, put series on it."""
    axes = taken.each_apart("yaxes")
    return axes[0] if axes else Taken({})


def _unit(taken: Taken, defaults: Taken, yaxis: Taken, where: str, notes: Notes) -> str:
    theirs = defaults.text("unit") or yaxis.text("format") or (taken.text("format") if taken.has("valueName") else "")
    unit = OUR_UNIT.get(theirs)
    if unit is None:
        notes.lost(where, f"unit: {shown(theirs)}", _("This unit is not known; numbers are shown without one."))
        return ""
    if theirs not in EXACT:
        notes.changed(where, f"unit: {shown(theirs)}", _("It is shown as: %(unit)s.") % {"unit": unit or "1000 = 1k"})
    return unit


def _decimals(taken: Taken, defaults: Taken, yaxis: Taken) -> int | None:
    found = [defaults.number("decimals"), yaxis.number("decimals")]
    if taken.has("valueName") or taken.has("yaxes"):
        found.append(taken.number("decimals"))
    number = next((each for each in found if each is not None), None)
    return None if number is None else max(0, min(10, round(number)))


def _ends(taken: Taken, defaults: Taken, yaxis: Taken, where: str, notes: Notes) -> tuple[float | None, float | None]:
    least, most = defaults.number("min"), defaults.number("max")
    if least is None:
        least = yaxis.number("min")
    if most is None:
        most = yaxis.number("max")
    gauge = taken.apart("gauge")
    if gauge.flag("show"):
        least = gauge.number("minValue") if least is None else least
        most = gauge.number("maxValue") if most is None else most
    if least is not None and most is not None and least >= most:
        notes.lost(where, f"max: {most:g}", _("The greatest value must be above the least."))
        most = None
    return least, most


def _tone(colour: object, where: str, notes: Notes) -> str:
    tone = tone_of(colour) if isinstance(colour, str) else None
    if tone is None:
        notes.changed(where, f"color: {shown(colour)}", _("The colour is none of the five tones; it is neutral now."))
    return tone or "neutral"


def _thresholds(
    taken: Taken, defaults: Taken, custom: Taken, theirs: str, ends: tuple[float | None, float | None],
    where: str, notes: Notes,
) -> tuple[Threshold, ...]:  # fmt: skip
    found = defaults.apart("thresholds")
    steps = [(each.take("value"), each.take("color")) for each in found.each("steps")]
    mode = found.text("mode")
    seen = _are_seen(defaults, custom, theirs)
    old = _old_thresholds(taken)
    if not seen and not old:
        return ()
    if mode == "percentage" and steps:
        least, most = ends
        if least is None or most is None:
            notes.lost(
                where, "thresholds.mode: percentage", _("Thresholds in percent want a least and a greatest value.")
            )
            return ()
        notes.changed(where, "thresholds.mode: percentage", _("They are written as values."))
        steps = [
            (None if value is None else least + (most - least) * (as_number(value) or 0) / 100, colour)
            for value, colour in steps
        ]
    return _ascending(old or steps, where, notes)


def _are_seen(defaults: Taken, custom: Taken, theirs: str) -> bool:
    """Grafana writes thresholds into every panel; only some of them show."""
    if theirs == "timeseries":
        style = custom.apart("thresholdsStyle").text("mode")
        return style not in ("", "off")
    if theirs == "table":
        cell = custom.apart("cellOptions").text("type") or custom.text("displayMode")
        return cell.startswith("color")
    mode = defaults.inner("color").text("mode")
    return mode in ("", "thresholds")


def _old_thresholds(taken: Taken) -> list[tuple[Any, Any]]:
    """Of a graph: a list with colours by mode; of a singlestat: "80,90" with three colours, if it was coloured."""
    written = taken.text("thresholds")
    if written:
        colours = taken.take("colors")
        shown_ = taken.flag("colorValue") | taken.flag("colorBackground")
        values = [None, *written.split(",")]
        return list(zip(values, colours, strict=False)) if isinstance(colours, list) and shown_ else []
    out: list[tuple[Any, Any]] = []
    for each in taken.each_apart("thresholds"):
        mode = each.text("colorMode")
        colour = {"critical": "red", "warning": "orange", "ok": "green"}.get(mode) or each.take("lineColor") or "orange"
        out.append((each.take("value"), colour))
    return out


def _ascending(steps: list[tuple[Any, Any]], where: str, notes: Notes) -> tuple[Threshold, ...]:
    base = [Threshold(None, _tone(colour, where, notes)) for value, colour in steps if value is None]
    numbers: dict[float, str] = {}
    for value, colour in steps:
        number = as_number(value)
        if number is not None:
            numbers[number] = _tone(colour, where, notes)
        elif value is not None:
            notes.lost(where, f"thresholds: {shown(value)}", _("A threshold is a number."))
    out = [*base[:1], *(Threshold(at, tone) for at, tone in sorted(numbers.items()))]
    if len(out) > words.MAX_THRESHOLDS:
        notes.lost(where, f"thresholds: {len(out)}", _("There are too many; those behind are left out."))
    return tuple(out[: words.MAX_THRESHOLDS])


def _names(taken: Taken, defaults: Taken, where: str, notes: Notes) -> tuple[Name, ...]:
    out: list[Name] = []
    for each in [*defaults.each_apart("mappings"), *taken.each_apart("valueMaps"), *taken.each_apart("rangeMaps")]:
        out += _mapping(each, where, notes)
    if len(out) > words.MAX_NAMES:
        notes.lost(where, f"mappings: {len(out)}", _("There are too many; those behind are left out."))
    return tuple(out[: words.MAX_NAMES])


def _mapping(each: Taken, where: str, notes: Notes) -> list[Name]:
    """A mapping of Grafana 8 and later ({type: value, options}), or of before ({value, text}, {from, to, text})."""
    kind, options = each.take("type"), each.apart("options")
    if kind == "value":
        out = []
        for key, value in options.pairs():
            out += _named(as_number(key), as_number(key), Taken(value), key, where, notes)
        return out
    if kind == "range":
        return _named(options.number("from"), options.number("to"), options.inner("result"), "range", where, notes)
    low = high = each.number("value")
    if low is None:
        low, high = each.number("from"), each.number("to")
    if kind in (None, 1, 2, "1", "2"):
        return _named(low, high, each, "value", where, notes)
    notes.lost(where, f"mappings: {shown(kind)}", _("Only numbers and ranges of numbers are named."))
    return []


def _named(low: float | None, high: float | None, result: Taken, what: str, where: str, notes: Notes) -> list[Name]:
    text, colour = result.text("text"), result.take("color")
    if low is None or high is None or low > high:
        notes.lost(
            where, f"mappings: {shown(what)} = {shown(text)}", _("Only numbers and ranges of numbers are named.")
        )
        return []
    tone = "" if colour is None else _tone(colour, where, notes)
    return [Name(low, high, notes.clipped(where, "mappings", text, words.MAX_TITLE), tone)]


# --- how it is drawn --------------------------------------------------------------------------------------------------


def _draw(taken: Taken, custom: Taken, where: str, notes: Notes) -> str:
    style = custom.text("drawStyle")
    if taken.flag("bars") and not taken.has("lines"):
        style = "bars"
    if style == "points" or (taken.flag("points") and not style and not taken.has("lines") and taken.has("yaxes")):
        notes.changed(where, "drawStyle: points", _("Points are drawn as lines."))
    return "bars" if style == "bars" else "lines"


def _stack(taken: Taken, custom: Taken, where: str, notes: Notes) -> bool:
    mode = custom.apart("stacking").text("mode")
    if mode == "percent" or taken.flag("percentage"):
        notes.changed(where, "stacking: percent", _("It is stacked by value, not in percent."))
    return taken.flag("stack") or mode in ("normal", "percent")


def _reduce(taken: Taken, options: Taken, where: str, notes: Notes) -> str:
    reduce = options.inner("reduceOptions")
    calcs = reduce.take("calcs")
    reduce.take("fields"), reduce.flag("values")
    theirs = calcs[0] if isinstance(calcs, list) and calcs else taken.text("valueName")
    if not theirs:
        return "last"
    ours = OUR_REDUCER.get(str(theirs))
    if ours is None:
        notes.changed(where, f"reduceOptions.calcs: {shown(theirs)}", _("The last value is shown."))
    return ours or "last"
