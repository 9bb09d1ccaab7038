"""Every operation of the API against its own OpenAPI document, by schemathesis: no server error, no answer untold.

Each operation is asked at something that is there with what it takes to get through, at the edges of every parameter
and field, and with what is drawn from the document: what fits it, and what breaks it at a place that is known. An
answer has a status, a content type, headers and a body that the document tells; what breaks the document is refused.
tests/api/test_fuzz.py sends what no document tells. `make soak` looks longer.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import parse_qsl

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from tests import rows
from tests.access.probe import undone
from tests.access.walk import OPENAPI, body, described, places, query, values
from tests.api.meant import MEANT, Meant, asked, prepare
from tests.conftest import make_user
from tongchou.core import tokens
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.telemetry.backend import Telemetry

pytestmark = pytest.mark.timeout(1800)  # it walks every operation: minutes where the machine is busy

Operation = APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
    checks.allow_header_conformance,
]
PEOPLE = (("root-of-tests", Role.ADMIN), ("another", Role.VIEWER), ("robot", Role.VIEWER))
HERE = {"REMOTE_ADDR": "127.0.0.1"}
NOTHING = Meant()


def meant_by(operation: Operation) -> Meant:
    """What the operation needs beside what its shape tells."""
    return MEANT.get(operation.label.replace("/api/v1", ""), NOTHING)


def breakable(operation: Operation) -> bool:
    """Whether the operation takes anything that can be wrong: any text is a name."""
    told = OPENAPI["paths"][operation.path][operation.method]
    taken = [
        each for each in told.get("parameters", []) if each["in"] == "query" or set(each["schema"]) - {"type", "title"}
    ]
    return bool(taken or "requestBody" in told)


class Walk:
    """One walk over the operations: what was answered, and what should not have been."""

    def __init__(self, token: str) -> None:
        # a copy, because schemathesis writes into it
        self.document = schemathesis.openapi.from_dict(json.loads(json.dumps(OPENAPI)))
        self.document.config.generation.update(with_security_parameters=False)  # who may do what: tests/access
        self.app = get_wsgi_application()
        self.headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
        self.there = {described(each.route): each for each in places() if each.is_api}
        self.statuses: dict[str, Counter[int]] = {}
        self.wrong: dict[tuple[str, str, int], str] = {}

    def operations(self) -> Iterator[Operation]:
        """Every operation of the document."""
        for each in self.document.get_all_operations():
            yield cast("Ok[Operation]", each).ok()

    def send(self, case: Case) -> None:
        """One request, what it wrote taken back, its answer held against the document."""
        with undone():
            meant_by(case.operation).stand()
            response = case.call(app=self.app, headers=self.headers, environ_base=HERE)
        label = case.operation.label
        self.statuses.setdefault(label, Counter())[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS, headers=self.headers)
        except FailureGroup as found:
            for each in found.exceptions:
                key = (label, type(each).__name__, response.status_code)
                self.wrong.setdefault(key, f"{each}\n{case!r}\n{response.content[:500]!r}")

    def there_is(self, operation: Operation) -> dict[str, Any]:
        """What stands in an address of the operation where something is."""
        return {**values(self.there[operation.path].route), **asked(meant_by(operation).path)}

    def least_body(self, operation: Operation) -> tuple[str | None, Any]:
        """Content type and body of the request that gets through."""
        if not operation.body:
            return None, NOT_SET
        said = meant_by(operation).body
        kind, raw = body(self.there[operation.path], operation.method.upper())
        if isinstance(said, bytes) or (said and kind != "application/json"):
            return kind, said if isinstance(said, bytes) else asked(said)
        content = json.loads(raw) if kind == "application/json" else raw
        return kind, {**content, **asked(said)} if isinstance(content, dict) else content

    def least(self, operation: Operation) -> None:
        """The request that gets through wherever types, names and MEANT tell how."""
        kind, content = self.least_body(operation)
        said = dict(parse_qsl(query(self.there[operation.path], operation.method.upper())))
        said.update(asked(meant_by(operation).query))
        self.send(operation.Case(path_parameters=self.there_is(operation), query=said, body=content, media_type=kind))

    def edges(self, operation: Operation, most: int) -> None:
        """The edges of every parameter and field, at most so many of a kind (too long, missing, another type ...)."""
        seen: Counter[Any] = Counter()
        for case in self.document.iter_coverage_cases(
            operation, generation_modes=list(GenerationMode), generation_config=self.document.config.generation
        ):
            kind = case.meta and getattr(case.meta.phase.data, "scenario", None)
            seen[kind] += 1
            if seen[kind] <= most:
                self.send(case)

    def drawn(self, operation: Operation, mode: GenerationMode, examples: int) -> None:
        """What fits the document, or does not: the same each time, half of it where something is."""
        there, least = self.there_is(operation), self.least_body(operation)[1]
        anywhere = operation.as_strategy(generation_mode=mode)
        somewhere = operation.as_strategy(generation_mode=mode, path_parameters=there) if there else anywhere

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(somewhere | anywhere, st.booleans())
        def once(case: Case, through: bool) -> None:
            fits = mode is GenerationMode.POSITIVE and case.media_type == "application/json"
            if fits and through and isinstance(case.body, dict) and isinstance(least, dict):
                case.body = {**case.body, **least}
            self.send(case)

        once()

    def everything(self, *, edges: int, examples: int) -> None:
        """Every operation: the least request, so many edges of a kind, and so many drawn that fit and that do not."""
        for operation in self.operations():
            self.least(operation)
            self.edges(operation, edges)
            self.drawn(operation, GenerationMode.POSITIVE, examples)
            if breakable(operation):
                self.drawn(operation, GenerationMode.NEGATIVE, examples)

    def told(self) -> str:
        """What was wrong, one after the other."""
        found = self.wrong.items()
        return "\n\n".join(f"{label}: {name} ({status})\n{text}" for (label, name, status), text in found)

    def unreached(self) -> list[str]:
        """The operations that only refused: of these nothing is known but how they refuse."""
        return [label for label, seen in self.statuses.items() if not any(status < 300 for status in seen)]


@pytest.fixture
def walk(db: None, telemetry_db: Telemetry) -> Iterator[Walk]:
    """A walk as an administrator over an installation where two of everything are."""
    who, *_others = [make_user(*each) for each in PEOPLE]
    rows.grow(2)
    prepare(who)
    _row, token = tokens.create(actor=system("tests"), user=who, name="t", scopes=["all"], expires_at=None)
    signals = (request_started, request_finished)
    for each in signals:  # else a request ends the test's transaction
        each.disconnect(close_old_connections)
    logging.disable(logging.CRITICAL)
    yield Walk(token)
    logging.disable(logging.NOTSET)
    for each in signals:
        each.connect(close_old_connections)


def test_every_answer_is_as_the_document_tells(walk: Walk) -> None:
    walk.everything(edges=1, examples=2)
    assert not walk.wrong, walk.told()
    assert len(walk.unreached()) < len(walk.statuses) / 10, walk.unreached()


@pytest.mark.soak
def test_every_answer_is_as_the_document_tells_in_the_long_run(walk: Walk) -> None:
    walk.everything(edges=1000, examples=50)
    assert not walk.wrong, walk.told()
