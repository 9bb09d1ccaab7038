"""The servers that run on this machine, some that the test starts, and neighbours that behave badly."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations import laws
from tests.integrations.services import neighbours
from tests.postgres import Postgres, bindir
from tests.served import free_port
from tongchou.core import secrets
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.services import places, source
from tongchou.integrations.services.places import PROTOCOLS, Place
from tongchou.integrations.services.source import SOURCE
from tongchou.integrations.services.talk import Talk, UnexpectedError
from tongchou.inventory import end_of_life, sources
from tongchou.inventory.connections import SeenUse
from tongchou.inventory.models import Relation, Resource
from tongchou.inventory.observation import Observation
from tongchou.inventory.ports import Source
from tongchou.wire.host.sockets import Socket

pytestmark = pytest.mark.django_db
# usual port -> (kind, engine, whether it tells its version)
REAL = {
    5432: ("database", "PostgreSQL", False),
    3306: ("database", "MariaDB", True),
    6379: ("cache", "Redis", True),
    5672: ("queue", "RabbitMQ", True),
    4222: ("queue", "NATS", True),
    1883: ("queue", "Mosquitto", True),
}


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.1"]


def there(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def look(*addresses: str, **more: Any) -> Observation:
    return SOURCE.fetch(SOURCE.validate({"addresses": list(addresses), **more}), source="it")


def one(protocol: str, behaviour: neighbours.Behaviour) -> Any:
    with neighbours.listening(behaviour) as port:
        [found] = look(f"{protocol}://127.0.0.1:{port}", timeout_seconds=2).resources
    return found


def test_it_is_a_source_and_is_found() -> None:
    assert isinstance(SOURCE, Source)
    assert sources.source_kinds()["services"] is SOURCE


# --- real ones ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", REAL)
def test_a_real_server_is_named(port: int) -> None:
    if not there(port):
        pytest.skip(f"nothing listens on 127.0.0.1:{port}")
    kind, engine, tells = REAL[port]
    seen = look(f"127.0.0.1:{port}")
    [found] = laws.by_name(seen).values()
    assert (found.kind, found.attributes["engine"], found.attributes["port"]) == (kind, engine, port)
    assert bool(found.attributes.get("version")) == tells
    assert seen.complete
    ends = end_of_life.ends_of((found.kind,), found.attributes, end_of_life.pack(), date(2026, 1, 1))
    ruled = {each.title for each in end_of_life.pack().products}
    assert [end.key for end in ends] == ([f"software:{engine.lower()}"] if engine in ruled else [])


def test_what_runs_here_is_found_by_itself_settles_and_takes_over_who_uses_its_port() -> None:
    running = [port for port in REAL if there(port)]
    if not running:
        pytest.skip("none of the known servers runs on this machine")
    host = laws.configured("host", {"connections": False}, name="this")
    sources.run_source(actor=laws.ACTOR, source=host)
    config = laws.configured("services", {"this_host": True})
    laws.settles(config)
    for port in running:
        found = Resource.objects.get(kind__in=("database", "queue", "cache"), attributes__port=port)
        assert found.attributes["version"]  # of PostgreSQL from the path of its program
        away = Relation.objects.filter(from_resource=found, valid_to__isnull=True)
        assert list(away.values_list("type", "to_resource__kind")) == [("runs_on", "host")]
    # what the host sees to use the port uses the database, not the port
    machine = Resource.objects.get(kind="host").identities.first().key
    use = SeenUse((machine,), (f"{machine}/tcp:{running[0]}",))
    sources.apply_sync(actor=laws.ACTOR, source=host, observation=Observation(complete=False, uses=(use,) * 3))
    assert Relation.objects.filter(source="this/seen", type="stores_in", to_resource__source="it").exists()


def test_one_server_under_two_addresses_is_one(settings: Any) -> None:
    with neighbours.listening(neighbours.answering(b'INFO {"version":"2.9.10"}\r\n', greets=True)) as port:
        settings.HTTP_ALLOW = ["127.0.0.1", "localhost"]
        seen = look(f"nats://127.0.0.1:{port}", f"nats://localhost:{port}")
    assert len(seen.resources) == 1
    assert seen.complete


@contextmanager
def started(program: str, *words: str) -> Iterator[None]:
    process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while not there(port):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_real_redis_that_wants_a_password_is_named_without_its_version() -> None:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on this machine")
    port = free_port()
    with started(program, "--port", str(port), "--bind", "127.0.0.1", "--requirepass", "x", "--save", ""):
        wait_for(port)
        [found] = look(f"redis://127.0.0.1:{port}").resources
    assert (found.kind, found.attributes["engine"], "version" in found.attributes) == ("cache", "Redis", False)


def test_a_real_mosquitto_that_lets_in_only_whom_it_knows_is_a_broker_without_a_name(tmp_path: Path) -> None:
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("no mosquitto on this machine")
    port = free_port()
    (tmp_path / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\n")
    with started(program, "-c", str(tmp_path / "conf")):
        wait_for(port)
        [found] = look(f"mqtt://127.0.0.1:{port}").resources
    assert (found.attributes["engine"], "version" in found.attributes) == ("MQTT", False)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if bindir() is None:
        pytest.skip("no PostgreSQL server on this machine")
    cluster = Postgres()
    try:
        yield cluster
    finally:
        cluster.close()


def test_a_login_tells_version_and_role_of_postgresql_and_is_never_shown(postgres: Postgres) -> None:
    place = f"127.0.0.1:{postgres.port}"
    lines = [
        "host=127.0.0.1 user=a hostaddr=10.0.0.1",
        f"postgresql://postgres:canary-41@{place}/postgres?sslmode=prefer",
    ]
    secrets.put(actor=laws.ACTOR, name="logins", value="\n".join(lines))
    wanted = {"addresses": [f"postgresql://{place}"], "postgresql_secret": "logins"}
    config = laws.configured("services", wanted)
    plan = sources.run_source(actor=laws.ACTOR, source=config)
    [found] = Resource.objects.filter(kind="database")
    assert bindir() is not None
    assert found.attributes["version"].split(".")[0] == bindir().parent.name
    assert found.attributes["role"] == "primary"
    [note] = [note.params["text"] for note in plan.warnings]
    assert note.startswith("line 1 of the secret is no login")
    secrets.put(actor=laws.ACTOR, name="logins", value=f"postgresql://nobody-here:canary-41@{place}/postgres")
    plan = sources.run_source(actor=laws.ACTOR, source=config)
    assert [n.params["text"] for n in plan.warnings] == [f"{place} (postgresql): the login of the secret does not open it (OperationalError)"]  # fmt: skip
    assert (
        Resource.objects.get(pk=found.pk).attributes["version"] == found.attributes["version"]
    )  # a part takes nothing
    assert "canary-41" not in laws.everything_recorded()


def test_a_postgresql_that_hangs_is_told_of_in_time(postgres: Postgres) -> None:
    postgres.stop()
    try:
        started_at = time.monotonic()
        with pytest.raises(Unavailable) as refusal:
            look(f"postgresql://127.0.0.1:{postgres.port}", timeout_seconds=0.3)
        assert time.monotonic() - started_at < 2
    finally:
        postgres.go_on()
    assert "said nothing in time" in str(refusal.value.detail)


# --- answers of those that do not run here, as their documentation has them -----------------------------------------------


def bson(**fields: str | int | bool) -> bytes:
    packed = b""
    for name, value in fields.items():
        if isinstance(value, bool):
            packed += b"\x08" + name.encode() + b"\0" + bytes([value])
        elif isinstance(value, int):
            packed += b"\x10" + name.encode() + b"\0" + struct.pack("<i", value)
        else:
            packed += b"\x02" + name.encode() + b"\0" + struct.pack("<i", len(value) + 1) + value.encode() + b"\0"
    # a date, an object and a list, which are passed over
    packed += b"\x09localTime\0" + bytes(8) + b"\x03topologyVersion\0" + struct.pack("<i", 5) + b"\0"
    packed += b"\x04hosts\0" + struct.pack("<i", 5) + b"\0"
    return struct.pack("<i", len(packed) + 5) + packed + b"\0"


def op_msg(document: bytes) -> bytes:
    return struct.pack("<iiiiIB", 21 + len(document), 1, 7, 2013, 0, 0) + document


HELLO = op_msg(bson(isWritablePrimary=True, setName="rs0", maxWireVersion=21))
UNKNOWN = op_msg(bson(ok=0, errmsg="no such command: 'hello'"))
KAFKA = struct.pack("!ihihhh", 7, 0, 1, 18, 0, 3)
INFO = b"# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\nrole:slave\r\n"


def http(status: int, content: Any, header: str = "") -> bytes:
    body = json.dumps(content).encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{header}\r\n".encode() + body


@pytest.mark.parametrize(
    "protocol, answers, kind, attributes",
    [
        ("memcached", [b"VERSION 1.6.18\r\n"], "cache", {"engine": "Memcached", "version": "1.6.18"}),
        ("redis", [b"$%d\r\n%s\r\n" % (len(INFO), INFO)], "cache", {"engine": "Valkey", "version": "8.0.1", "role": "replica"}),
        ("mongodb", [HELLO, op_msg(bson(version="7.0.5"))], "database", {"engine": "MongoDB", "version": "7.0.5", "role": "primary", "cluster": "rs0"}),
        ("mongodb", [UNKNOWN, op_msg(bson(ismaster=True, maxWireVersion=6)), op_msg(bson(version="3.6.8"))], "database", {"engine": "MongoDB", "version": "3.6.8"}),
        ("kafka", [struct.pack("!i", len(KAFKA)) + KAFKA], "queue", {"engine": "Apache Kafka"}),
        ("etcd", [http(200, {"etcdserver": "3.5.9", "etcdcluster": "3.5.0"})], "database", {"engine": "etcd", "version": "3.5.9"}),
        ("elasticsearch", [http(200, {"cluster_name": "logs", "version": {"number": "8.13.0"}})], "search_index", {"engine": "Elasticsearch", "version": "8.13.0", "cluster": "logs"}),
        ("elasticsearch", [http(200, {"cluster_name": "logs", "version": {"number": "2.11.0", "distribution": "opensearch"}})], "search_index", {"engine": "OpenSearch", "version": "2.11.0", "cluster": "logs"}),
        ("elasticsearch", [http(401, {}, "X-elastic-product: Elasticsearch\r\n")], "search_index", {"engine": "Elasticsearch"}),
    ],
)  # fmt: skip
def test_what_others_answer(protocol: str, answers: list[bytes], kind: str, attributes: dict[str, str]) -> None:
    found = one(protocol, neighbours.answering(*answers))
    said = {name: value for name, value in found.attributes.items() if name not in ("address", "port")}
    assert (found.kind, said) == (kind, attributes)


def test_mysql_is_told_from_mariadb_and_the_handshake_is_ended_as_one_who_is_not_let_in() -> None:
    """A handshake that breaks off counts towards max_connect_errors, after which a server lets this host in no more."""
    ended: list[bytes] = []
    greeting = b"\x0a8.0.36\0" + struct.pack("<I", 9) + b"12345678\0" + b"\xff" * 2 + b"\x2d" + b"\xff" * 18

    def behave(peer: socket.socket) -> None:
        peer.settimeout(5)
        peer.sendall(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
        ended.append(peer.recv(4096))
        peer.sendall(b"\x16\0\0\x02\xfemysql_native_password")
        ended.append(peer.recv(4096))
        peer.sendall(b"\x03\0\0\x04\xff\x15\x04")
        ended.append(peer.recv(4096))

    found = one("mysql", behave)
    assert (found.attributes["engine"], found.attributes["version"]) == ("MySQL", "8.0.36")
    assert ended[0][3] == 1
    assert b"tongchou\0" in ended[0]
    assert ended[1:] == [b"\0\0\0\x03", b""]


# --- neighbours -----------------------------------------------------------------------------------------------------------


def test_no_neighbour_holds_up_the_look_or_hides_the_others() -> None:
    behaviours = [
        neighbours.silent, neighbours.closing, neighbours.flooding, neighbours.endless_line, neighbours.dripping,
        neighbours.web, neighbours.mail,
    ]  # fmt: skip
    good = neighbours.answering(b'INFO {"version":"2.9.10","cluster":"c"}\r\n', greets=True)
    with ExitStack() as stack:
        ports = [stack.enter_context(neighbours.listening(each)) for each in behaviours]
        fine = stack.enter_context(neighbours.listening(good))
        bad = [f"{protocol}://127.0.0.1:{port}" for port in ports for protocol in PROTOCOLS]
        for_each_protocol = {each: [a for a in bad if a.startswith(f"{each}:")] for each in PROTOCOLS}
        before = time.monotonic()
        for addresses in for_each_protocol.values():
            seen = look(f"nats://127.0.0.1:{fine}", *addresses, timeout_seconds=0.15)
            assert [each.attributes["version"] for each in seen.resources] == ["2.9.10"]
            assert len(seen.warnings) == len(behaviours)
            assert not seen.complete
        assert time.monotonic() - before < 0.15 * len(PROTOCOLS) * 3 + 3


@pytest.mark.parametrize("error", source.UNREADABLE)
def test_an_answer_that_breaks_its_reader_hides_no_other(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_talk: Talk) -> Any:
        raise error

    monkeypatch.setitem(source._TALKS, "memcached", broken)
    good = neighbours.answering(b'INFO {"version":"2.9.10"}\r\n', greets=True)
    with neighbours.listening(good) as fine, neighbours.listening(neighbours.web) as bad:
        seen = look(f"memcached://127.0.0.1:{bad}", f"nats://127.0.0.1:{fine}", timeout_seconds=2)
    assert [each.attributes["engine"] for each in seen.resources] == ["NATS"]
    [warning] = seen.warnings
    assert error.__name__ in warning
    assert not seen.complete


def test_nothing_is_asked_any_more_when_the_look_took_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LOOK_SECONDS", 0.0)
    with pytest.raises(Unavailable) as refusal:
        look("nats://127.0.0.1:1")
    assert "was not asked" in str(refusal.value.detail)


def test_this_host_is_asked_only_where_an_administrator_allows_it(settings: Any) -> None:
    settings.HTTP_ALLOW = []
    asked: list[bytes] = []
    with neighbours.listening(lambda peer: asked.append(b"")) as port, pytest.raises(Unavailable) as refusal:
        look(f"nats://127.0.0.1:{port}")
    assert "TONGCHOU_HTTP_ALLOW" in str(refusal.value.detail)
    assert not asked


def test_a_server_that_goes_away_is_kept_and_told_of() -> None:
    port = free_port()
    with neighbours.listening(neighbours.answering(b'INFO {"version":"1"}\r\n', greets=True)) as fine:
        config = laws.configured("services", {"addresses": [f"nats://127.0.0.1:{fine}"]})
        laws.settles(config)
        config = laws.configured("services", {"addresses": [f"nats://127.0.0.1:{fine}", f"redis://127.0.0.1:{port}"]})
        plan = sources.run_source(actor=laws.ACTOR, source=config)
        assert [note.params["text"] for note in plan.warnings] == [f"127.0.0.1:{port} (redis) Connection refused"]
    with pytest.raises(Unavailable):
        sources.run_source(actor=laws.ACTOR, source=config)
    assert Resource.objects.get(kind="queue").state == "active"


class Fed(Talk):
    """A talk in which the other side said all it will ever say."""

    def __init__(self, content: bytes) -> None:
        self._held, self._taken = content, 0

    def send(self, content: bytes) -> None:
        pass

    def _more(self) -> None:
        raise UnexpectedError("ended")


BEGINNINGS = [b"", b"S", b"INFO {", b"VERSION ", b"$12\r\n", b"\x20\x02\x00\x00\x30", b"\x01\x00\x00\x00\x00\x00\x40\x00\x0a\x00\x0a\x00\x09", HELLO[:20], struct.pack("!i", 16), b"\x20\0\0\0\x0a"]  # fmt: skip


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=200), st.sampled_from(sorted(source._TALKS)))
@settings(max_examples=300, deadline=None)
def test_no_bytes_break_a_reader(beginning: bytes, rest: bytes, protocol: str) -> None:
    """What an answer does to a reader is UnexpectedError, or one of those that source takes for an unreadable answer."""
    try:
        found = source._TALKS[protocol](Fed(beginning + rest))
    except (UnexpectedError, *source.UNREADABLE):
        return
    assert found.engine


# --- settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("10.0.0.5:6379", Place("10.0.0.5", 6379, "redis")),
        ("DB-1.example.com:5432", Place("db-1.example.com", 5432, "postgresql")),
        ("mysql://[fd00::5]:3307", Place("fd00::5", 3307, "mysql")),
        ("mqtt+tls://10.0.0.5:8884", Place("10.0.0.5", 8884, "mqtt", True)),
        ("10.0.0.5:5671", Place("10.0.0.5", 5671, "amqp", True)),
        ("10.0.0.5:8080", None),
        ("10.0.0.5", None),
        ("10.0.0.5:0", None),
        ("redis://user:pw@10.0.0.5:6379", None),
        ("redis://10.0.0.5:6379/0", None),
        ("postgresql+tls://10.0.0.5:5432", None),
        ("smtp://10.0.0.5:25", None),
    ],
)  # fmt: skip
def test_addresses(text: str, wanted: Place | None) -> None:
    assert places.place(text) == wanted
    if wanted is None:
        with pytest.raises(Invalid) as refusal:
            SOURCE.validate({"addresses": ["10.0.0.5:6379", text]})
        assert refusal.value.field == "settings.addresses[1]"


def test_settings_that_name_nothing_or_too_much_are_refused() -> None:
    for wanted in ({}, {"addresses": [f"10.0.{n // 256}.{n % 256}:6379" for n in range(source.MAX_ADDRESSES + 1)]}):
        with pytest.raises(Invalid) as refusal:
            SOURCE.validate(wanted)
        assert refusal.value.field == "settings.addresses"


def test_listeners_are_known_by_their_program_and_by_their_port() -> None:
    listeners = [
        Socket("0.0.0.0", 3307, "", 0, 1),
        Socket("10.0.0.5", 6379, "", 0, None),
        Socket("127.0.0.1", 22, "", 0, 3),
        Socket("::", 5433, "", 0, 2),
    ]
    programs = {
        1: ("mariadbd", "/usr/sbin/mariadbd"),
        2: ("postgres", "/usr/lib/postgresql/15/bin/postgres"),
        3: ("sshd", ""),
    }
    assert places.of_listeners(listeners, programs) == [
        Place("127.0.0.1", 3307, "mysql", program="/usr/sbin/mariadbd"),
        Place("127.0.0.1", 5433, "postgresql", program="/usr/lib/postgresql/15/bin/postgres"),
        Place("10.0.0.5", 6379, "redis"),
    ]
