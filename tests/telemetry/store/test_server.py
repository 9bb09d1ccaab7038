"""ClickHouse by URL: who gets in, what is written once, and what happens while the server is silent."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.clickhouse_http import ClickHouse
from tests.served import free_port
from tongchou.core.problems import Invalid, Problem, Unavailable
from tongchou.telemetry.store import server as module
from tongchou.telemetry.store.server import ServerEngine, address_of
from tongchou.telemetry.store.tables import Tables


@pytest.fixture
def tables(server_engine):
    found = Tables(server_engine, "server_test", retention_days=3650)
    found.create()
    yield found
    found.drop()


@pytest.fixture
def own(tmp_path):
    """A server of the test's own, which it may silence."""
    server = ClickHouse(tmp_path / "clickhouse", free_port())
    engine = ServerEngine(address_of(server.url), read_threads=2)
    yield server, engine
    server.go_on()
    engine.close()
    server.close()


def put(tables, value=1.0, token=""):
    tables.insert_samples(np.array([7]), np.array([1_700_000_000_000]), np.array([value]), token=token)


def test_a_password_is_never_shown():
    address = address_of("https://ops:s3cr%2Fet@ch.example.org/path")
    assert (address.user, address.password, address.port, address.path) == ("ops", "s3cr/et", 8443, "/path")
    assert address.shown == "https://ops:***@ch.example.org:8443/path"
    assert "s3cr" not in f"{address!r} {address}"


@pytest.mark.parametrize(
    "url", ["ch:8123", "tcp://ch:9000", "http://", "http://ch:port", "secret:x@ch", "http://u:secret@ch/?a=b"]
)
def test_an_address_that_is_none_is_refused_without_showing_it(url):
    with pytest.raises(Invalid) as refused:
        address_of(url)
    assert refused.value.field == "TONGCHOU_CLICKHOUSE_URL"
    assert refused.value.value is None
    assert "secret" not in str(refused.value.as_dict())


def test_a_wrong_password_says_what_to_correct(clickhouse):
    engine = ServerEngine(address_of(f"http://tongchou:wrong@127.0.0.1:{clickhouse.port}"))
    with pytest.raises(Unavailable, match="store_sign_in") as refused:
        engine.fetch("SELECT 1 AS one")
    assert "TONGCHOU_CLICKHOUSE_URL" in str(refused.value.remedy)
    assert "wrong" not in str(refused.value)
    engine.close()


def test_nobody_at_the_address_is_said_at_once():
    engine = ServerEngine(address_of(f"http://127.0.0.1:{free_port()}"))
    began = time.monotonic()
    for _again in range(3):
        with pytest.raises(Unavailable, match="store_unreachable"):
            engine.fetch("SELECT 1 AS one")
    assert time.monotonic() - began < 5
    engine.close()


def test_an_insert_sent_again_under_its_token_is_stored_once(tables):
    for _again in range(3):
        put(tables, token="one")
    put(tables, token="two")
    assert tables.sizes()["rows"] == 2


def test_an_insert_whose_answer_was_lost_is_sent_again_and_stored_once(tables, server_engine, monkeypatch):
    lost = []
    client = server_engine._connected()
    real = client.raw_insert

    def losing(*args, **more):
        real(*args, **more)
        if len(lost) < 2:
            lost.append(1)
            raise module.ClickHouseError("connection reset")

    monkeypatch.setattr(client, "raw_insert", losing)
    put(tables)
    assert len(lost) == 2
    assert tables.sizes()["rows"] == 1


def test_an_error_of_the_server_is_not_tried_again_and_keeps_its_code(tables, server_engine):
    with pytest.raises(Problem, match="store_failed") as refused:
        server_engine.insert("server_test.nothing (a)", "a", pa.table({"a": pa.array([1], pa.int64())}))
    assert "Code: 60" in str(refused.value.detail)


def test_limits_of_time_and_memory_are_the_server_s(server_engine):
    with pytest.raises(Unavailable, match="timeout"):
        server_engine.fetch("SELECT sum(sipHash64(number)) AS s FROM numbers(100000000000)", timeout_seconds=0.3)
    with pytest.raises(Invalid, match="limit_exceeded"):
        server_engine.fetch("SELECT groupArray(number) AS all FROM numbers(50000000)", max_memory_bytes=50_000_000)
    assert server_engine.fetch("SELECT 7 AS one").column("one").to_pylist() == [7]


def test_a_silent_server_is_refused_within_bounds_and_used_again_when_it_is_back(own, monkeypatch):
    server, engine = own
    monkeypatch.setattr(module, "_QUEUE_SLACK_SECONDS", 0.5)
    assert engine.fetch("SELECT 1 AS one").num_rows == 1
    server.stop()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        engine.fetch("SELECT 1 AS one", timeout_seconds=1.0)
    assert time.monotonic() - began < 3
    took = []
    for _again in range(5):
        began = time.monotonic()
        with pytest.raises(Unavailable, match="store_unreachable"):
            engine.fetch("SELECT 1 AS one", timeout_seconds=30.0)
        took.append(time.monotonic() - began)
    assert max(took) < 1, "refused at once"
    server.go_on()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert engine.fetch("SELECT 1 AS one").num_rows == 1
            break
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_certificates_are_handed_to_the_connection(tmp_path):
    address = address_of("https://u@127.0.0.1:9", ca_file=Path("/ca.pem"), verify=False)
    engine = ServerEngine(address)
    assert engine._pool.connection_pool_kw["ca_certs"] == "/ca.pem"
    assert engine._pool.connection_pool_kw["cert_reqs"] == "CERT_NONE"
    engine.close()
