"""Every URL of the platform, found in the URL configuration itself, with an address at which something is.

A new page, operation or protocol is walked without a word here. Only what a name cannot tell (that /slos/<name> is an
Objective) stands in NOUNS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver

from tongchou.api.app import api

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OPENAPI = api.get_openapi_schema()
CONVERTER = re.compile(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>")
NOUNS = {
    "slos": "objective", "slo-form": "objective", "sources": "sourceconfig", "searches": "savedsearch",
    "rule-files": "rulefile", "deployment-sources": "deploymentsource", "groups": "alertgroup",
    "deployments": "deploymentsource", "postmortem-causes": "cause", "tokens": "apitoken", "users": "user",
    "events": "event", "approval-policies": "approvalpolicy", "queues": "queueitem", "deliveries": "delivery",
}  # fmt: skip
# what stands in an address and is no row
TABLES = {"lists", "export", "bulk"}  # their <kind> is a table's
SAID: dict[str, Any] = {"key": "execution.enabled", "day": "2026-10-01", "year": 2026}
MODELS = {each._meta.model_name: each for each in apps.get_models() if each.__module__.startswith("tongchou.")}
# what a field's name says about its value, where the schema's type says too little to pass the action's own checks
FITTING: dict[str, Any] = {
    "kind": "service", "name": "made-here", "username": "somebody", "password": "correct horse battery",
    "matchers": [{"name": "service", "value": "x", "isRegex": False, "isEqual": True}], "scopes": ["read"],
    "type": "calls", "url": "http://127.0.0.1:9/x", "severity": "major", "comment": "because", "reason": "because",
    "text": "words", "query": "up", "expr": "up == 0", "answer": "continue", "title": "Words", "note": "words",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One URL: its route as it is written down, and an address of it."""

    route: str
    address: str
    pattern: URLPattern

    @property
    def is_api(self) -> bool:
        """Part of /api/v1."""
        return self.route.startswith("api/")

    @property
    def is_page(self) -> bool:
        """Meant for people in a browser."""
        return hasattr(self.pattern.callback, "permission") or self.route.startswith("accounts/")


def routes(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every route of the URL configuration, once."""
    seen = set()
    for each in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, route)
        elif route not in seen:
            seen.add(route)
            yield route, each


def places() -> list[Place]:
    """Every URL, at an address where the first thing of its kind is (make rows first)."""
    return [Place(route, address(route), pattern) for route, pattern in routes()]


def values(route: str) -> dict[str, str]:
    """What stands in an address of the route, by the name of its converter: something that is there."""
    return {found["name"]: str(_value(route[: found.start()], found)) for found in CONVERTER.finditer(route)}


def address(route: str) -> str:
    """A path of the route: each converter by what is there."""
    there = values(route)
    return "/" + CONVERTER.sub(lambda found: there[found["name"]], route)


def described(route: str) -> str:
    """The route as the OpenAPI document writes it."""
    return "/" + CONVERTER.sub(lambda found: f"{{{found['name']}}}", route)


def _value(before: str, found: re.Match[str]) -> Any:
    name, kind = found["name"], found["kind"] or "str"
    segments = [each for each in before.split("/") if each and "<" not in each]
    owner = segments[-1] if segments else ""
    noun = name.removesuffix("_id").replace("_", "") if name.endswith("_id") else ""
    model = MODELS.get(noun) or MODELS.get(NOUNS.get(owner, "")) or MODELS.get(owner.rstrip("s").replace("-", ""))
    row = model._default_manager.order_by("pk").first() if model and name not in ("act", "key") else None
    if row is not None:
        column = "pk" if name == "id" or name.endswith("_id") else name
        if column == "number" and not hasattr(row, "number"):
            return row.incident.number if hasattr(row, "incident") else row.pk
        return getattr(row, column, row.pk)
    if name == "kind" and owner in TABLES:
        return "incidents.incident"
    return SAID.get(name) or {"uuid": uuid4(), "uuidstr": uuid4(), "int": 1}.get(kind, "none")


def operation(place: Place, method: str) -> dict[str, Any] | None:
    """The OpenAPI operation at this URL, if the document has it."""
    found: dict[str, Any] | None = OPENAPI["paths"].get(described(place.route), {}).get(method.lower())
    return found


def body(place: Place, method: str) -> tuple[str, bytes]:
    """(content type, body) that fits the operation's schema as far as types and names tell."""
    content = (operation(place, method) or {}).get("requestBody", {}).get("content", {})
    if not content:
        said = BODIES.get(place.route, {})
        return "application/json", json.dumps(said).encode() if place.is_api or said else b""
    kind, media = next(iter(content.items()))
    if kind != "application/json":
        return kind, TEXTS["procedures" if "procedures" in place.route else "rule-files"].encode()
    return kind, json.dumps(fitting(media["schema"])).encode()


def query(place: Place, method: str) -> str:
    """The required query parameters."""
    wanted = [each for each in (operation(place, method) or {}).get("parameters", []) if each["in"] == "query"]
    return urlencode({each["name"]: fitting(each["schema"], each["name"]) for each in wanted if each.get("required")})


BODIES: dict[str, Any] = {  # of the protocols that OpenAPI does not describe
    "alertmanager/api/v2/silences": {
        "matchers": [{"name": "service", "value": "x", "isRegex": False, "isEqual": True}],
        "startsAt": "2099-01-01T00:00:00Z", "endsAt": "2099-01-01T01:00:00Z", "createdBy": "tests", "comment": "because",
    },
}  # fmt: skip
TEXTS = {
    "procedures": "name: procedure-0\ntitle: {en: a, zh: b}\ngrade: read\nsteps: [{name: a, read: {query: up}}]\n",
    "rule-files": "groups: [{name: a, rules: [{alert: A, expr: up}]}]",
}


def fitting(schema: dict[str, Any], name: str = "") -> Any:
    """The least value that fits a schema."""
    if "$ref" in schema:
        schema = OPENAPI["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return fitting(schema[several][0], name)
    kind = schema.get("type")
    if kind == "object":
        known = schema.get("properties", {})
        return {each: fitting(known[each], each) for each in schema.get("required", [])}
    if name in FITTING and kind in (None, "string", type(FITTING[name]).__name__.replace("list", "array")):
        return FITTING[name]
    if kind == "array":
        return [fitting(schema.get("items", {}))] if schema.get("minItems") else []
    if kind in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    if kind == "boolean":
        return True
    if kind == "string" and name.endswith("_id"):
        model = MODELS.get(name.removesuffix("_id").replace("_", ""), MODELS["resource"])
        row = model._default_manager.order_by("pk").last() if name == "to_id" else None
        row = row or model._default_manager.order_by("pk").first()
        return str(row.pk) if row else str(uuid4())
    if schema.get("format") == "date-time":
        return "2099-01-01T00:00:00Z"
    if schema.get("format") == "date":
        return "2099-01-01"
    return "words" if kind == "string" else {}
