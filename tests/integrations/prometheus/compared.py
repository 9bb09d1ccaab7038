"""Ask both engines the same and say where their answers differ."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import httpx

from tongchou.core.problems import Problem
from tongchou.integrations.prometheus import answer
from tongchou.telemetry.ports import Backend
from tongchou.telemetry.promql.evaluate import instant, range_

RELATIVE = 1e-9
# Differences of sums that cancel out: values are below 1e6, so this is a last digit of them.
ABSOLUTE = 1e-9
Ask = Callable[[str, int, int, int], tuple[int, dict[str, Any]]]


def in_process(backend: Backend) -> Ask:
    """Our engine on a backend, its answer as the API writes it."""

    def ask(query: str, start: int, end: int, step: int) -> tuple[int, dict[str, Any]]:
        try:
            if step:
                found = range_(query, start * 1000, end * 1000, step * 1000, backend=backend)
                body = answer.success(answer.matrix(found))
            else:
                body = answer.success(answer.instant(instant(query, start * 1000, backend=backend)))
        except Problem as problem:
            status, body = answer.failure(problem)
            return status, json.loads(body)
        return 200, json.loads(body)

    return ask


def over_http(get: Callable[[str, dict[str, str]], tuple[int, bytes]]) -> Ask:
    """Anything that answers the API; get(path, parameters) gives status and body."""

    def ask(query: str, start: int, end: int, step: int) -> tuple[int, dict[str, Any]]:
        if step:
            parameters = {"query": query, "start": str(start), "end": str(end), "step": str(step)}
            status, body = get("query_range", parameters)
        else:
            status, body = get("query", {"query": query, "time": str(start)})
        return status, json.loads(body)

    return ask


def of_client(client: httpx.Client) -> Ask:
    """A Prometheus reached by a client."""

    def get(path: str, parameters: dict[str, str]) -> tuple[int, bytes]:
        found = client.get(f"/api/v1/{path}", params=parameters)
        return found.status_code, found.content

    return over_http(get)


def difference(ours: tuple[int, dict[str, Any]], theirs: tuple[int, dict[str, Any]], *, ordered: bool) -> str:
    """How two answers differ, "" when they agree. ordered: the order of a vector's values counts."""
    status, body = ours
    their_status, their_body = theirs
    if (status == 200) != (their_status == 200):
        refusal = body if status != 200 else their_body
        return f"{'we' if status != 200 else 'they'} refuse: {status} {their_status} {refusal['error']}"
    if status != 200:
        kinds = (status, body["errorType"]), (their_status, their_body["errorType"])
        return "" if kinds[0] == kinds[1] else f"{kinds[0]} {body['error']} is not {kinds[1]} {their_body['error']}"
    data, their_data = body["data"], their_body["data"]
    if data["resultType"] != their_data["resultType"]:
        return f"{data['resultType']} is not {their_data['resultType']}"
    if data["resultType"] == "scalar":
        return "" if same_point(data["result"], their_data["result"]) else f"{data['result']} {their_data['result']}"
    if data["resultType"] == "string":
        return "" if data == their_data else f"{data} {their_data}"
    if ordered and data["resultType"] == "vector":
        found = different_points([each["value"] for each in data["result"]],
                                 [each["value"] for each in their_data["result"]])  # fmt: skip
        if found:
            return f"order: {found}"
    return different_series(by_labels(data["result"]), by_labels(their_data["result"]))


def by_labels(result: list[dict[str, Any]]) -> dict[str, list[Any]]:
    found = {json.dumps(each["metric"], sort_keys=True): each.get("values") or [each["value"]] for each in result}
    assert len(found) == len(result), "a label set comes twice"
    return found


def different_series(ours: dict[str, list[Any]], theirs: dict[str, list[Any]]) -> str:
    for labels in sorted(ours.keys() | theirs.keys()):
        if labels not in theirs:
            return f"only we give {labels}: {ours[labels][:3]}"
        if labels not in ours:
            return f"only they give {labels}: {theirs[labels][:3]}"
        found = different_points(ours[labels], theirs[labels])
        if found:
            return f"{labels}: {found}"
    return ""


def different_points(ours: list[Any], theirs: list[Any]) -> str:
    if [point[0] for point in ours] != [point[0] for point in theirs]:
        return f"at {[p[0] for p in ours][:5]} ({len(ours)}), they at {[p[0] for p in theirs][:5]} ({len(theirs)})"
    for one, other in zip(ours, theirs, strict=True):
        if not same_point(one, other):
            return f"{one} is not {other}"
    return ""


def same_point(one: list[Any], other: list[Any]) -> bool:
    if one[0] != other[0]:
        return False
    a, b = float(one[1]), float(other[1])
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
