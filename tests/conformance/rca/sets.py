"""Reads the sets: which kind a labels.json is of, and its cases."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.conformance.rca.cases import BadSet, Case, Floats, Series, find, need, number, rows_of, table
from tongchou.incidents.suspects import ShiftKind

SOCKSHOP: dict[str, tuple[ShiftKind, str, int]] = {
    "cpu": ("cpu", "percent", 1), "mem": ("memory", "bytes", 1), "lod": ("traffic", "per_second", 0),
    "load": ("traffic", "per_second", 0), "lat": ("latency", "seconds", 1), "lat_50": ("latency", "seconds", 1),
    "lat_90": ("latency", "seconds", 1), "lat_99": ("latency", "seconds", 1), "err": ("errors", "per_second", 1),
}  # fmt: skip
NEZHA: tuple[tuple[str, ShiftKind, str, int], ...] = (
    (r"^CpuUsage\(", "cpu", "milli", 1),
    (r"^MemoryUsage\(", "memory", "MiB", 1),
    (r"^Pod(Client|Server)Latency", "latency", "seconds", 1),
    (r"^PodWorkload", "traffic", "per_second", 0),
    (r"^(Network|Syscall)", "other", "count", 0),
)


def load(folder: Path) -> dict[str, list[Case]]:
    """The cases of every part below a folder, by part. Raises BadSet."""
    labels = sorted(path for path in folder.rglob("labels.json") if path.is_file())
    if not labels:
        raise BadSet(f"{folder}: no labels.json in it or below; give the folder a set was extracted to")
    return {str(path.parent.relative_to(folder)): _part(path) for path in labels}


def _part(path: Path) -> list[Case]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadSet(f"{path}: not JSON ({error})") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and "case" in row for row in rows):
        raise BadSet(f"{path}: a list of objects with a `case` each is wanted")
    kinds: tuple[tuple[set[str], Callable[[Path, dict[str, Any]], Case | None]], ...] = (
        ({"root_cause_service"}, _sockshop),
        ({"root_cause", "target_node"}, _petshop),
        ({"service", "inject_epoch_utc"}, _nezha),
    )
    for keys, reader in kinds:
        if keys <= rows[0].keys():
            return [case for row in rows if (case := reader(path.parent, row)) is not None]
    raise BadSet(f"{path}: of no known kind; its keys are {', '.join(sorted(rows[0]))}")


# --- sockshop-rcd: normal and anomalous, one row a second, <service>_<metric>, no topology --------------------------


def _sockshop(part: Path, label: dict[str, Any]) -> Case:
    folder = part / label["case"]
    before, during = rows_of(need(folder, "normal.csv")), rows_of(need(folder, "anomalous.csv"))
    names = [name for name in before[0] if name in during[0] and name.lower() not in ("time", "timestamp", "")]
    base, scan = (_columns(rows, names) for rows in (before, during))
    series = []
    for name in names:
        service, _dash, metric = name.partition("_")
        kind, unit, bad = SOCKSHOP.get(metric, ("other", "count", 0))
        # RCAEval's own convention for this set: a database belongs to its service
        series.append(Series(re.sub(r"-db$", "", service), name, kind, unit, bad))
    fault = label.get("fault") or label["case"].rpartition("_")[0].rpartition("_")[2]
    return Case(label["case"], fault, label["root_cause_service"], series, base, scan, 1.0)


def _columns(rows: list[list[str]], names: list[str]) -> Floats:
    places = [rows[0].index(name) for name in names]
    values = table(rows[1:], len(rows[0]))
    return np.ascontiguousarray(values[:, places].T)


# --- petshop: a call graph, a normal phase, five rows of five minutes for each issue -------------------------------


def _petshop(part: Path, label: dict[str, Any]) -> Case:
    folder = part / label["case"]
    scenario = part / Path(label["case"]).parts[0]
    names, times, scan = _wide(need(folder, "metrics.csv"))
    normal = find(scenario / "noissue", "metrics.csv")
    target = json.loads(need(folder, "target.json").read_text(encoding="utf-8"))["target"]
    at = int(np.argmax(times + 300 > target["timestamp"])) if (times + 300 > target["timestamp"]).any() else 0
    base = np.full((len(names), 0), np.nan)
    if normal is not None:
        usual, _times, values = _wide(normal)
        places = {name: place for place, name in enumerate(usual)}
        picked = [values[places[name]] if name in places else np.full(values.shape[1], np.nan) for name in names]
        base = np.array(picked)
    else:  # what came before the alert is all that is known
        base, scan, at = scan[:, :at], scan[:, at:], 0
    series, kept = [], []
    for place, (node, metric, statistic) in enumerate(names):
        kind: ShiftKind = "errors" if metric == "availability" else "latency" if metric == "latency" else "traffic"
        unit, bad = {"errors": ("ratio", 1), "latency": ("seconds", 1)}.get(kind, ("count", 0))
        if kind == "errors":  # percent that went well -> share that failed
            base[place], scan[place] = 1 - base[place] / 100, 1 - scan[place] / 100
        series.append(Series(node, f"{metric} {statistic}", kind, unit, bad))
        kept.append(place)
    fault = f"{label['target_metric']}, {Path(label['case']).parts[0]}"
    return Case(
        label["case"], fault, label["root_cause"], series, base, scan, 300.0, at, _graph(need(scenario, "graph.csv")),
        label["target_node"], frozenset({label["target_node"]}),
    )  # fmt: skip


def _wide(path: Path) -> tuple[list[tuple[str, str, str]], Floats, Floats]:
    rows = rows_of(path)
    if len(rows) < 4:
        raise BadSet(f"{path}: three rows of headers and the values are wanted")
    names = list(zip(rows[0][1:], rows[1][1:], rows[2][1:], strict=False))
    body = [row for row in rows[3:] if row and np.isfinite(number(row[0]))]
    values = table(body, len(rows[0]))
    return names, values[:, 0], np.ascontiguousarray(values[:, 1:].T)


def _graph(path: Path) -> dict[str, frozenset[str]]:
    """An adjacency matrix whose rows are callers."""
    rows = rows_of(path)
    names = rows[0][1:]
    return {
        row[0]: frozenset(name for name, cell in zip(names, row[1:], strict=False) if number(cell)) for row in rows[1:]
    }


# --- nezha: metrics of pods, one row a minute; the normal phase of the day is the base; no topology here -----------


def _nezha(part: Path, label: dict[str, Any]) -> Case | None:
    path = find(part / label["case"], "metrics.csv")
    if path is None:
        raise BadSet(f"{part / label['case']}/metrics.csv: not there (nor .gz, .xz)")
    inject = float(label["inject_epoch_utc"])
    during = _pods(path)
    day = part / "faultfree" / label["case"][:10]
    usual = find(day, "metrics.csv")
    before = _pods(usual) if usual is not None else {}
    series: list[Series] = []
    base_rows, scan_rows = [], []
    for pod, (columns, times, values) in sorted(during.items()):
        service = re.sub(r"-[0-9a-f]{6,10}-[0-9a-z]{5}$|-\d+$", "", pod)
        earlier = next((each for name, each in before.items() if name == pod), None)
        for place, column in enumerate(columns):
            found = next(((kind, unit, bad) for pattern, kind, unit, bad in NEZHA if re.match(pattern, column)), None)
            if found is None:
                continue
            calm = values[times < inject, place]
            if earlier is not None and column in earlier[0]:
                calm = np.concatenate((earlier[2][:, earlier[0].index(column)], calm))
            series.append(Series(service, f"{pod} {column}", *found))
            base_rows.append(calm)
            scan_rows.append(values[times >= inject, place])
    if not series:
        raise BadSet(f"{path}: no column of a pod is known")
    base, scan = _ragged(base_rows, right=True), _ragged(scan_rows, right=False)
    return Case(label["case"], label["fault"], label["service"], series, base, scan, 60.0)


def _pods(path: Path) -> dict[str, tuple[list[str], Floats, Floats]]:
    rows = rows_of(path)
    header = rows[0]
    for wanted in ("TimeStamp", "PodName"):
        if wanted not in header:
            raise BadSet(f"{path}: no column {wanted}")
    at, name = header.index("TimeStamp"), header.index("PodName")
    columns = [column for column in header if column not in ("Time", "TimeStamp", "PodName")]
    grouped: dict[str, list[list[str]]] = {}
    for row in rows[1:]:
        if len(row) == len(header):
            grouped.setdefault(row[name], []).append(row)
    places = [header.index(column) for column in columns]
    found = {}
    for pod, lines in grouped.items():
        values = table(lines, len(header))
        order = np.argsort(values[:, at], kind="stable")
        found[pod] = (columns, values[order, at], values[order][:, places])
    return found


def _ragged(rows: Iterable[Floats], *, right: bool) -> Floats:
    kept = list(rows)
    width = max((len(row) for row in kept), default=0)
    found = np.full((len(kept), width), np.nan)
    for at, row in enumerate(kept):
        found[at, width - len(row) if right else 0 : width if right else len(row)] = row
    return found
