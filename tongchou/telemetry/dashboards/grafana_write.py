"""A dashboard of ours as Grafana's JSON (schema 39), which grafana_read reads back as the same. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tongchou.telemetry.dashboards.definition import Definition, Name, Panel, Query, Row, Variable
from tongchou.telemetry.dashboards.grafana_panels import OURS
from tongchou.telemetry.dashboards.grafana_words import REDUCERS, SORTS, TONES, UNITS, WRITTEN
from tongchou.telemetry.dashboards.layout import COLUMNS, height

SCHEMA = 39


def write(*, name: str, title: str, tags: Sequence[str], description: str, definition: Definition) -> dict[str, Any]:
    """Return Grafana's JSON; the data source is a variable, chosen in Grafana."""
    source = "datasource"
    while definition.variable(source) is not None:
        source += "_"
    asked = {"type": "prometheus", "uid": f"${{{source}}}"}
    chooser = {"name": source, "type": "datasource", "query": "prometheus", "label": "Data source"}
    return {
        "uid": name[:40],
        "title": title,
        "tags": list(tags),
        "description": description,
        "schemaVersion": SCHEMA,
        "editable": True,
        "time": {"from": f"now-{definition.range}", "to": "now"},
        "refresh": f"{definition.refresh_seconds}s" if definition.refresh_seconds else "",
        "annotations": {"list": [_annotations(enabled=definition.marks)]},
        "templating": {"list": [chooser, *(_variable(each, asked) for each in definition.variables)]},
        "panels": _panels(definition.rows, asked),
    }


def _annotations(*, enabled: bool) -> dict[str, Any]:
    return {
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": enabled,
        "name": "Annotations & Alerts",
        "type": "dashboard",
    }


def _variable(each: Variable, asked: dict[str, str]) -> dict[str, Any]:
    value: Any = each.value[0] if len(each.value) == 1 and not each.multi else list(each.value)
    made = {
        "name": each.name,
        "type": each.kind,
        "label": each.label,
        "query": each.query,
        "regex": each.regex,
        "sort": SORTS[each.sort][0],
        "multi": each.multi,
        "includeAll": each.all,
        "allValue": each.all_value,
        "hide": 2 if each.hide else 0,
    }
    if each.value:
        made["current"] = {"text": value, "value": value}
    if each.kind == "query":
        made |= {"datasource": asked, "refresh": 2, "definition": each.query}
    return made


def _panels(rows: Sequence[Row], asked: dict[str, str]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    y, next_id = 0, max((panel.id for row in rows for panel in row.panels), default=0)
    for place, row in enumerate(rows):
        bare = place == 0 and not row.title and not row.collapsed and row.panels
        if not bare:
            next_id += 1
            head = {"id": next_id, "type": "row", "title": row.title, "collapsed": row.collapsed}
            out.append({**head, "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}, "panels": []})
            y += 1
        made = [_panel(each, y, asked) for each in row.panels]
        if row.collapsed:
            out[-1]["panels"] = made
        else:
            out += made
            y += height([each.place for each in row.panels])
    return out


def _panel(each: Panel, y: int, asked: dict[str, str]) -> dict[str, Any]:
    source = {"type": OURS, "uid": "logs"} if each.kind == "log" else asked
    options: dict[str, Any] = {"reduceOptions": {"calcs": [REDUCERS[each.reduce][0]]}}
    if each.kind == "text" or each.text:
        options |= {"mode": "markdown", "content": each.text}
    made = {
        "id": each.id,
        "type": WRITTEN[each.kind],
        "title": each.title,
        "description": each.description,
        "gridPos": {"x": each.x, "y": y + each.y, "w": each.w, "h": each.h},
        "datasource": source,
        "fieldConfig": {"defaults": _defaults(each), "overrides": []},
        "options": options,
        "targets": [_target(query, at, source) for at, query in enumerate(each.queries)],
    }
    return {key: value for key, value in made.items() if value != ""}


def _target(query: Query, at: int, source: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"refId": "ABCDEFGHIJ"[at], "datasource": source, "expr": query.expr}
    made |= {"legendFormat": query.legend, "instant": query.instant, "range": not query.instant}
    return made | ({"hide": True} if query.hidden else {})


def _defaults(each: Panel) -> dict[str, Any]:
    custom: dict[str, Any] = {
        "drawStyle": "bars" if each.draw == "bars" else "line",
        "stacking": {"mode": "normal" if each.stack else "none"},
    }
    made: dict[str, Any] = {
        "unit": UNITS[each.unit][0],
        "custom": custom,
        "mappings": [_mapping(name, at) for at, name in enumerate(each.names)],
    }
    ends = {"decimals": each.decimals, "min": each.min, "max": each.max}
    made |= {key: value for key, value in ends.items() if value is not None}
    if each.thresholds:
        steps = [{"value": step.at, "color": TONES[step.tone][0]} for step in each.thresholds]
        made["thresholds"] = {"mode": "absolute", "steps": steps}
        if each.kind == "graph":
            custom["thresholdsStyle"] = {"mode": "line"}
        if each.kind == "table":
            custom["cellOptions"] = {"type": "color-text"}
    return made


def _mapping(name: Name, at: int) -> dict[str, Any]:
    result: dict[str, Any] = {"text": name.text, "index": at}
    if name.tone:
        result["color"] = TONES[name.tone][0]
    if name.least == name.most:
        return {"type": "value", "options": {repr(name.least).removesuffix(".0"): result}}
    return {"type": "range", "options": {"from": name.least, "to": name.most, "result": result}}
