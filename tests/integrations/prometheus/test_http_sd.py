from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core import secrets
from tongchou.core.access import system
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.prometheus.http_sd import SOURCE, duration_seconds, parse
from tongchou.inventory import reads, sources
from tongchou.inventory.graph import load_graph
from tongchou.inventory.models import Resource, SourceConfig
from tongchou.inventory.observation import Observation

ACTOR = system("tests")
SHOP: list[dict[str, Any]] = [
    {
        "targets": ["127.0.0.1:9001", "127.0.0.1:9002"],
        "labels": {
            "job": "storefront",
            "service": "storefront",
            "env": "demo",
            "__meta_tongchou_service": "storefront",
            "__meta_tongchou_relations": "calls:orders, calls:cache ,runs_on:host",
            "__scrape_interval__": "1s",
            "__scrape_timeout__": "500ms",
        },
    },
    {
        "targets": ["127.0.0.1:9010"],
        "labels": {
            "__meta_tongchou_kind": "database",
            "__meta_tongchou_name": "database-primary",
            "__meta_tongchou_service": "database",
            "__meta_tongchou_relations": "replicates_to:database-standby",
            "__meta_tongchou_owner": "shop",
            "__meta_tongchou_attr_control_url": "http://127.0.0.1:9010/control",
            "__metrics_path__": "/probe",
            "__scheme__": "https",
            "__param_module": "pg",
        },
    },
    {
        "targets": ["127.0.0.1:9011"],
        "labels": {"__meta_tongchou_name": "database-standby", "__meta_tongchou_kind": "database"},
    },
    {
        "targets": ["127.0.0.1:9020"],
        "labels": {"__meta_tongchou_name": "orders-1", "__meta_tongchou_service": "orders"},
    },
    {"targets": ["127.0.0.1:9030"], "labels": {"__meta_tongchou_name": "cache", "__meta_tongchou_kind": "cache"}},
]


def seen(document: Any) -> Observation:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse(body, source="shop", job="shop", interval_seconds=15.0)


def test_targets_become_resources_endpoints_and_services() -> None:
    found = seen(SHOP)
    assert sorted((r.kind, r.name) for r in found.resources if r.kind != "service") == [
        ("cache", "cache"),
        ("database", "database-primary"),
        ("database", "database-standby"),
        ("instance", "127.0.0.1:9001"),
        ("instance", "127.0.0.1:9002"),
        ("instance", "orders-1"),
    ]
    assert {r.name for r in found.resources if r.kind == "service"} == {"storefront", "database", "orders"}
    primary = next(r for r in found.resources if r.name == "database-primary")
    assert primary.attributes == {"address": "127.0.0.1:9010", "control_url": "http://127.0.0.1:9010/control"}
    assert primary.owner == "shop"
    first, _, db, *_rest = found.endpoints
    assert (first.url, first.interval_seconds, first.timeout_seconds) == ("http://127.0.0.1:9001/metrics", 1.0, 0.5)
    assert db.url == "https://127.0.0.1:9010/probe?module=pg"


def test_no_label_that_steers_reaches_a_series() -> None:
    first, _, db, *_rest = seen(SHOP).endpoints
    assert first.labels == {"job": "storefront", "service": "storefront", "env": "demo", "instance": "127.0.0.1:9001"}
    assert db.labels == {"job": "shop", "instance": "127.0.0.1:9010"}


@pytest.mark.django_db
def test_relations_run_between_services_where_both_are_and_else_from_the_instance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = SourceConfig.objects.create(name="shop", kind="http_sd")
    host = Resource.objects.create(kind="host", name="box-7", source="x")
    plan = sources.apply_sync(actor=ACTOR, source=config, observation=seen(SHOP))
    assert plan.deferred == []
    names = {id_: node.name for id_, node in load_graph().nodes.items()}
    assert names[host.pk] == "box-7"
    edges = sorted((names[e.from_id], e.type, names[e.to_id]) for e in load_graph().edges)
    assert edges == [
        ("127.0.0.1:9001", "calls", "cache"),
        ("127.0.0.1:9001", "part_of", "storefront"),
        ("127.0.0.1:9001", "runs_on", "box-7"),
        ("127.0.0.1:9002", "calls", "cache"),
        ("127.0.0.1:9002", "part_of", "storefront"),
        ("127.0.0.1:9002", "runs_on", "box-7"),
        ("database-primary", "part_of", "database"),
        ("database-primary", "replicates_to", "database-standby"),
        ("orders-1", "part_of", "orders"),
        ("storefront", "calls", "orders"),
    ]
    assert [row.name for row in reads.resources_for_labels({"job": "shop", "instance": "127.0.0.1:9010"})] == [
        "database-primary",
        "database",
    ]
    assert not sources.apply_sync(actor=ACTOR, source=config, observation=seen(SHOP)).changes_something


@pytest.mark.django_db
def test_a_relation_to_what_is_not_there_yet_is_deferred() -> None:
    config = SourceConfig.objects.create(name="shop", kind="http_sd")
    plan = sources.apply_sync(actor=ACTOR, source=config, observation=seen(SHOP[:1]))
    assert len(plan.deferred) == 6
    plan = sources.apply_sync(actor=ACTOR, source=config, observation=seen(SHOP))
    assert {each.rpartition(" ")[2] for each in plan.deferred} == {"target:shop:host"}


def target(labels: dict[str, Any], address: Any = "a:1") -> list[dict[str, Any]]:
    return [{"targets": ["ok:1"]}, {"targets": ["ok:2", address], "labels": labels}]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (b"", "$"),
        (b"<html>nope</html>", "$"),
        (b'[{"targets": ["a:1"]', "$"),
        (b"[" * 100_000, "$"),
        (b"\xff\xfe", "$"),
        ({"targets": []}, "$"),
        ([{"targets": ["a:1"]}, 7], "[1]"),
        ([{"labels": {}}], "[0].targets"),
        ([{"targets": "a:1"}], "[0].targets"),
        (target({}, 7), "[1].targets[1]"),
        (target({}, "http://a:1/metrics"), "[1].targets[1]"),
        (target({}, "a:99999"), "[1].targets[1]"),
        (target({}, "a:0"), "[1].targets[1]"),
        (target({}, ""), "[1].targets[1]"),
        ([{"targets": [], "labels": ["x"]}], "[0].labels"),
        (target({"1a": "x"}), "[1].labels.1a"),
        (target({"a": 1}), "[1].labels.a"),
        (target({"a": {"b": "c"}}), "[1].labels.a"),
        (target({f"l{i}": "x" for i in range(101)}), "[1].labels"),
        (target({"__scheme__": "gopher"}), "[1].labels.__scheme__"),
        (target({"__metrics_path__": "metrics"}), "[1].labels.__metrics_path__"),
        (target({"__scrape_interval__": "soon"}), "[1].labels.__scrape_interval__"),
        (target({"__scrape_interval__": "9999d"}), "[1].labels.__scrape_interval__"),
        (target({"__scrape_timeout__": "1x"}), "[1].labels.__scrape_timeout__"),
        (target({"__meta_tongchou_kind": "Big Thing"}), "[1].labels.__meta_tongchou_kind"),
        (target({"__meta_tongchou_relations": "likes:b"}), "[1].labels.__meta_tongchou_relations"),
        (target({"__meta_tongchou_relations": "calls"}), "[1].labels.__meta_tongchou_relations"),
        ([{"targets": [f"a{i}:1" for i in range(20_001)]}], "[0]"),
    ],
)
def test_a_wrong_document_is_refused_by_index_and_field(document: Any, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        seen(document)
    assert refusal.value.field == field
    assert refusal.value.remedy


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
near_misses = st.lists(
    st.fixed_dictionaries(
        {"targets": st.lists(st.sampled_from(["a:1", "[::1]:9", "b"]) | json_values, max_size=2)},
        optional={
            "labels": st.dictionaries(
                st.sampled_from(["job", "__meta_tongchou_relations", "__meta_tongchou_service", "__scrape_interval__"]),
                st.sampled_from(["1s", "calls:x", "x", ""]) | json_values,
                max_size=3,
            )
        },
    )
    | json_values,
    max_size=3,
)


@given(json_values | near_misses | st.binary(max_size=40))
def test_any_document_is_read_or_refused_and_never_breaks(document: Any) -> None:
    try:
        found = seen(document)
    except Invalid:
        return
    assert all(not name.startswith("__") for endpoint in found.endpoints for name in endpoint.labels)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1.0), ("500ms", 0.5), ("1m30s", 90.0), ("1h", 3600.0), ("1d", 86_400.0)]
)
def test_durations_are_prometheus_durations(text: str, seconds: float) -> None:
    assert duration_seconds(text, "x") == seconds


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "settings.url"),
        ({"url": 5}, "settings.url"),
        ({"url": "file:///etc/passwd"}, "settings.url"),
        ({"url": "http://a/", "speed": 1}, "settings.speed"),
        ({"url": "http://a/", "scrape_interval_seconds": "1"}, "settings.scrape_interval_seconds"),
        ({"url": "http://a/", "scrape_interval_seconds": True}, "settings.scrape_interval_seconds"),
        ({"url": "http://a/", "timeout_seconds": 100}, "settings.timeout_seconds"),
        ({"url": "http://a/", "job": 1}, "settings.job"),
    ],
)
def test_wrong_settings_are_refused_by_field(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        SOURCE.validate(settings)
    assert refusal.value.field == field


# --- over the wire ----------------------------------------------------------------------------------------------------


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append(dict(self.headers))
        status, headers, body = server.answer
        if body is None:  # hang
            server.stop.wait(10)
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            return  # the reader had enough

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def server(settings: Any) -> Iterator[Any]:
    settings.HTTP_ALLOW = ["127.0.0.1"]
    made: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    made.answer, made.asked, made.stop = (200, {}, json.dumps(SHOP).encode()), [], threading.Event()
    made.url = f"http://127.0.0.1:{made.server_address[1]}/targets"
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.stop.set()
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_real_server_is_read(server: Any) -> None:
    found = SOURCE.fetch({"url": server.url}, source="shop")
    assert len(found.endpoints) == 6
    assert server.asked[0]["Accept"] == "application/json"
    assert "Authorization" not in server.asked[0]


@pytest.mark.django_db
def test_a_secret_is_sent_as_bearer(server: Any) -> None:
    secrets.put(actor=ACTOR, name="sd", value="s3cret")
    SOURCE.fetch({"url": server.url, "bearer_secret": "sd"}, source="shop")
    assert server.asked[0]["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((503, {}, b"busy"), "http_sd.status"),
        ((404, {}, b""), "http_sd.status"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "http_sd.redirect"),
        ((200, {}, None), "http_sd.timeout"),
        ((200, {}, b" " * 8_100_000), "http_sd.too_large"),
        ((200, {}, b"not json"), "http_sd.shape"),
    ],
    ids=["busy", "missing", "redirect", "hangs", "huge", "garbage"],
)
def test_a_bad_answer_is_a_problem_with_a_remedy(server: Any, answer: Any, code: str) -> None:
    server.answer = answer
    timeout_seconds = 0.5 if code == "http_sd.timeout" else 20.0
    with pytest.raises((Unavailable, Invalid)) as refusal:
        SOURCE.fetch({"url": server.url, "timeout_seconds": timeout_seconds}, source="shop")
    assert refusal.value.code == code
    assert refusal.value.remedy


def test_an_address_that_may_not_be_reached_says_how_to_allow_it(server: Any, settings: Any) -> None:
    settings.HTTP_ALLOW = []
    with pytest.raises(Unavailable, match="TONGCHOU_HTTP_ALLOW"):
        SOURCE.fetch({"url": server.url}, source="shop")
