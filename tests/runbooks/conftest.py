"""A resource to act on, a procedure to act by, a server that counts effects, and metrics a test can set."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import connection

from tongchou.core import approvals, jobs, settings_store
from tongchou.core.access import Actor, system
from tongchou.core.models import Approval
from tongchou.inventory.models import AttributeValue, Resource, ResourceLabel
from tongchou.runbooks import actions, observe
from tongchou.runbooks.models import Procedure, Run
from tongchou.telemetry.reads import Sample

TESTS = system("tests")

PROMOTE = """
name: promote
title: {en: Promote, zh: 提升}
grade: reversible
matches: [{alertname: PrimaryDown}]
parameters:
  count: {type: integer, default: 1, min: 1, max: 5}
max_targets: 1
steps:
  - name: promote
    http:
      method: POST
      url: "${target.control_url}/promote"
      body: {count: "${params.count}"}
      idempotent: true
  - name: announce
    http: {method: POST, url: "${target.control_url}/announce/${params.count}", timeout_seconds: 2}
"""


@dataclass
class Request:
    """One request that arrived."""

    method: str
    path: str
    key: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Effects:
    """A control interface: counts what arrives, answers as told. `answers` maps a path to a function of the request."""

    url: str = ""
    seen: list[Request] = field(default_factory=list)
    answers: dict[str, Callable[[BaseHTTPRequestHandler, Request], None]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)

    def paths(self) -> list[str]:
        """Paths in the order of arrival."""
        with self.lock:
            return [request.path for request in self.seen]

    def wait_for(self, count: int, *, path: str | None = None, seconds: float = 30.0) -> None:
        """Wait until so many requests (to `path`) have arrived."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self.lock:
                if sum(path in (None, request.path) for request in self.seen) >= count:
                    return
            time.sleep(0.01)
        raise AssertionError(f"{count} requests to {path} did not arrive: {self.paths()}")


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"{}", kind: str = "application/json") -> None:
    """Answer at once."""
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _handler(effects: Effects) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers.get("idempotency-key", ""), headers, body)
            with effects.lock:
                effects.seen.append(request)
            try:
                effects.answers.get(self.path, lambda handler, _request: reply(handler, 200))(self, request)
            except OSError:
                self.close_connection = True  # the caller has gone: killed, or at its deadline
            finally:
                connection.close()  # an answer may have written; this thread ends here

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # http.server calls these names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
            """A test's server is silent."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle is what these tests are about."""


@pytest.fixture
def effects() -> Iterator[Effects]:
    """A control interface on a free port of loopback."""
    found = Effects()
    server = _Server(("127.0.0.1", 0), _handler(found))
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield found
    found.stopping.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.1"]


def make_resource(
    name: str, *, kind: str = "database", labels: dict[str, str] | None = None, **attributes: Any
) -> Resource:
    """A resource with labels and attributes, as a source would have written it."""
    row = Resource.objects.create(name=name, kind=kind, labels=labels or {}, source="tests")
    ResourceLabel.objects.bulk_create(
        ResourceLabel(resource=row, name=key, value=value, source="tests") for key, value in (labels or {}).items()
    )
    AttributeValue.objects.bulk_create(
        AttributeValue(resource=row, source="tests", name=key, value=value) for key, value in attributes.items()
    )
    return row


@pytest.fixture
def standby(db: None, effects: Effects) -> Resource:
    """A database whose control interface is `effects`."""
    return make_resource("db-b", labels={"role": "standby"}, control_url=effects.url)


@pytest.fixture
def execution_on(standby: Resource) -> None:
    """Execution is allowed on the standby."""
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    settings_store.put(actor=TESTS, key="execution.targets", value=["db-b"])


@pytest.fixture
def promote(db: None) -> Procedure:
    """The procedure PROMOTE, saved."""
    return actions.put_procedure(actor=TESTS, name="promote", text=PROMOTE)


@dataclass
class Metrics:
    """What the metrics say, by query; a query not set gives nothing. A string is a refusal."""

    said: dict[str, list[float] | Exception] = field(default_factory=dict)
    labels: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def instant_vector(self, query: str, at: datetime | None = None) -> list[Sample]:
        """The fake of telemetry.reads.instant_vector."""
        self.asked.append(query)
        answer = self.said.get(query, [])
        if isinstance(answer, Exception):
            raise answer
        labels = self.labels.get(query, [{} for _ in answer])[: len(answer)]
        return [Sample(each, value, datetime.now(UTC)) for each, value in zip(labels, answer, strict=True)]


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """Metrics a test sets by query."""
    found = Metrics()
    monkeypatch.setattr(observe.reads, "instant_vector", found.instant_vector)
    return found


@pytest.fixture(autouse=True)
def _no_store(metrics: Metrics) -> None:
    """No test here opens the telemetry store."""


def ask(actor: Actor, row: Procedure, *targets: str, **more: Any) -> Run:
    """Request a run on `targets` (default: the standby)."""
    params = more.pop("params", {})
    return actions.request_run(actor=actor, procedure=row, params=params, targets=targets or ("db-b",), **more)


def decide(actor: Actor, run: Run, *, approve: bool = True) -> None:
    """Approve or reject the pending request of a run."""
    pending = Approval.objects.get(pk=Run.objects.get(pk=run.pk).approval_id, state="pending")
    (approvals.approve if approve else approvals.reject)(actor=actor, approval=pending)


def work(run: Run) -> Run:
    """Run every due job in this thread and read the run again."""
    jobs.run_due()
    return Run.objects.select_related("procedure", "version", "approval").get(pk=run.pk)


def states(run: Run) -> list[str]:
    """The states of a run's steps, in order."""
    return list(run.steps.order_by("position").values_list("state", flat=True))


def as_json(value: Any) -> str:
    """A value as text, to look for what must not be in it."""
    return json.dumps(value, ensure_ascii=False, default=str)
