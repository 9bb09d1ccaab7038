"""A sweep of loopback addresses, which the environment names: real sshd, real TLS, sockets that answer or do not."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.integrations import laws
from tests.served import free_port
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.sweep import describe, names, scan
from tongchou.integrations.sweep.scan import Found
from tongchou.integrations.sweep.source import SOURCE
from tongchou.inventory import actions, ip_reads, queues, sources
from tongchou.inventory.gather import Gathering
from tongchou.inventory.models import Relation, Resource, ResourceState, SourceConfig
from tongchou.inventory.models_ip import AddressEntry
from tongchou.inventory.observation import Observation

pytestmark = [pytest.mark.django_db, pytest.mark.allow_hosts([f"127.0.1.{last}" for last in range(1, 9)])]
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
ONE, TWO, THREE, FOUR = "127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4"


@pytest.fixture(autouse=True)
def named_explicitly(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.1.0/24"]


@pytest.fixture
def plain() -> Iterator[int]:
    """Listens at two addresses on one port and says nothing."""
    port = free_port()
    with socket.create_server((ONE, port)), socket.create_server((TWO, port)):
        yield port


def configured(port: int, **settings: Any) -> SourceConfig:
    usual = {"ranges": [ONE, TWO, THREE], "ports": [port], "names": False, "closed_counts": False}
    return laws.configured("sweep", {**usual, "timeout_seconds": 0.3, "rate": 1000, **settings}, name="floor")


def certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "our authority")]))
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=90))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("shop.example.org"), x509.DNSName("a.example.org"), x509.IPAddress(ip_address(TWO))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    form = serialization.PrivateFormat.TraditionalOpenSSL
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[int]:
    """Serves TLS at two addresses with one certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    port = free_port()
    listeners = [socket.create_server((each, port)) for each in (ONE, TWO)]

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                peer, _address = listener.accept()
            except OSError:
                return
            try:
                peer.settimeout(2)
                with context.wrap_socket(peer, server_side=True) as secured:
                    secured.recv(1)
            except OSError:
                peer.close()

    threads = [threading.Thread(target=serve, args=(each,), daemon=True) for each in listeners]
    for each in threads:
        each.start()
    yield port
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for each in threads:
        each.join(5)


def test_addresses_in_use_are_seen(plain: int) -> None:
    laws.settles(configured(plain))
    found = {each.name: each for each in Resource.objects.filter(state=ResourceState.ACTIVE)}
    assert set(found) == {ONE, TWO}
    assert found[ONE].kind == "host"
    assert found[ONE].attributes == {"address": ONE, "open_ports": [plain]}


def test_a_port_that_refuses_tells_that_the_address_is_in_use_unless_a_firewall_refuses_for_all(plain: int) -> None:
    seen = sources.look(configured(plain, closed_counts=True))
    assert [each.name for each in seen.resources] == [ONE, TWO, THREE]
    assert laws.by_name(seen)["host", THREE].attributes == {"address": THREE}


def test_nothing_is_asked_that_is_not_listed(plain: int) -> None:
    with socket.create_server((FOUR, plain)) as bystander:
        bystander.settimeout(0.2)
        sources.look(configured(plain))
        with pytest.raises(TimeoutError):
            bystander.accept()


def test_the_banner_of_a_real_sshd_is_read(tmp_path: Path) -> None:
    if SSHD is None:
        pytest.skip("no sshd on this machine (apt-get install openssh-server)")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    port = free_port()
    Path("/run/sshd").mkdir(exist_ok=True)
    arguments = [SSHD, "-D", "-f", "/dev/null", "-h", str(tmp_path / "key"), "-o", f"ListenAddress={ONE}:{port}"]
    arguments += ["-o", f"PidFile={tmp_path / 'pid'}", "-E", str(tmp_path / "log")]
    process = subprocess.Popen(arguments)
    try:
        ends = time.monotonic() + 10
        while not (found := sources.look(configured(port)).resources):
            assert time.monotonic() < ends, (tmp_path / "log").read_text()
            time.sleep(0.1)
        assert found[0].attributes["ssh_banner"].startswith("SSH-2.0-OpenSSH_")
    finally:
        process.terminate()
        process.wait()


def test_a_certificate_is_one_thing_wherever_it_is_served(tls: int) -> None:
    laws.settles(configured(tls, tls_ports=[tls]))
    found = Resource.objects.get(kind="certificate")
    assert found.name == "127.0.1.2"  # the first of its alternative names
    fingerprint = found.attributes.pop("sha256_fingerprint")
    assert len(fingerprint) == 64
    assert found.attributes == {
        "subject": "shop", "issuer": "our authority", "serial": "1267", "key_algorithm": "EC", "key_bits": 256,
        "alternative_names": [TWO, "a.example.org", "shop.example.org"],
        "not_before": "2026-01-01T00:00:00+00:00", "not_after": "2026-04-01T00:00:00+00:00",
    }  # fmt: skip
    uses = Relation.objects.filter(to_resource=found, valid_to__isnull=True)
    assert {(each.from_resource.name, each.type, each.source) for each in uses} == {
        (ONE, "depends_on", "floor/seen"), (TWO, "depends_on", "floor/seen"),
    }  # fmt: skip


@pytest.mark.allow_hosts([])
def test_an_address_waits_to_be_recorded_and_its_placeholder_goes_when_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "sweep", lambda addresses, *_pace: [Found(each, {22: b""}) for each in addresses])
    config = configured(22, ranges=["10.0.0.1", "10.0.0.2"])
    sources.run_source(actor=laws.ACTOR, source=config)
    placeholder = Resource.objects.get(name="10.0.0.1")
    assert AddressEntry.objects.filter(resource=placeholder, use="seen").count() == 1
    assert placeholder in queues.unrecorded(queues.declaring())
    actions.create_resource(actor=laws.ACTOR, kind="vm", name="db1", attributes={"primary_ip": "10.0.0.1/24"})
    plan = sources.run_source(actor=laws.ACTOR, source=config)
    assert plan.gone == [placeholder.pk]
    assert not sources.run_source(actor=laws.ACTOR, source=config).changes_something
    assert placeholder not in queues.unrecorded(queues.declaring())


def test_addresses_stated_by_people_and_other_sources_are_recorded_whatever_the_source_at_hand_says() -> None:
    for name, said in (("db1", {"primary_ip": "10.0.0.1/24"}), ("sw1", {"addresses": ["10.0.0.2", "2001:db8::2"]})):
        actions.create_resource(actor=laws.ACTOR, kind="vm", name=name, attributes=said)
    asked = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::2"]
    assert ip_reads.stated_by_others(asked, {"floor"}) == {"10.0.0.1", "10.0.0.2", "2001:db8::2"}
    assert ip_reads.stated_by_others(asked, {"floor", "manual"}) == set()


# --- what is recorded of what was found: pure -------------------------------------------------------------------------


def observed(called: Mapping[str, str | None], recorded: frozenset[str] = frozenset(), *found: Found) -> Observation:
    return describe.observe(found, called, recorded, Gathering())


def test_a_machine_with_a_name_is_known_by_it_and_never_by_its_address() -> None:
    first = observed({"10.0.0.5": "a.example.org"}, frozenset(), Found("10.0.0.5", {22: b""}))
    moved = observed({"10.0.0.5": "b.example.org"}, frozenset(), Found("10.0.0.5", {22: b""}))
    assert first.resources[0].keys == ("fqdn:a.example.org",)
    assert not set(first.resources[0].keys) & set(moved.resources[0].keys)


def test_two_addresses_with_one_name_are_one_host() -> None:
    called = {"10.0.0.5": "a.example.org", "10.0.0.9": "a.example.org"}
    seen = observed(called, frozenset(), Found("10.0.0.9", {22: b""}), Found("10.0.0.5", {80: b""}))
    assert [each.attributes for each in seen.resources] == [
        {"address": "10.0.0.5", "addresses": ["10.0.0.5", "10.0.0.9"], "open_ports": [22, 80]}
    ]


def test_an_address_whose_name_is_not_known_is_left_out_instead_of_becoming_another_host() -> None:
    seen = observed({"10.0.0.5": None, "10.0.0.6": ""}, frozenset(), Found("10.0.0.5"), Found("10.0.0.6"))
    assert [each.keys for each in seen.resources] == [("sweep:10.0.0.6",)]
    assert not seen.complete


@given(st.permutations([Found(f"10.0.0.{last}", {22: b"SSH-2.0-x", 80: b""}) for last in range(1, 12)]))
def test_the_order_of_answers_does_not_matter(found: list[Found]) -> None:
    called = {f"10.0.0.{last}": f"{'ab'[last % 2]}.example.org" for last in range(1, 6)}
    recorded = frozenset({"10.0.0.7"})
    assert observed(called, recorded, *found) == observed(called, recorded, *reversed(found))
    assert "10.0.0.7" not in {each.name for each in observed(called, recorded, *found).resources}


def test_a_certificate_that_is_none_is_passed_over() -> None:
    seen = observed({}, frozenset(), Found("10.0.0.5", {443: b""}, {443: b"\x30\x03\x02\x01"}))
    assert [each.kind for each in seen.resources] == ["host"]


# --- the edge ---------------------------------------------------------------------------------------------------------


def test_a_silent_port_of_a_machine_that_lives_is_tried_again(plain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    real = scan._Prober._answers

    async def loses_the_first(self: Any, found: Found, port: int) -> bool:
        tried.append(port)
        return False if tried == [plain] else await real(self, found, port)

    monkeypatch.setattr(scan._Prober, "_answers", loses_the_first)
    other = free_port()
    found = scan.sweep([ONE], [plain, other], frozenset(), scan.Pace(0.3, 1000, 1))
    assert list(found[0].open) == [plain]
    assert tried == [plain, other, plain]


def test_connections_begin_no_faster_than_the_rate(plain: int) -> None:
    started = time.monotonic()
    scan.sweep([ONE, TWO, THREE], list(range(plain, plain + 10)), frozenset(), scan.Pace(0.3, 60, 64))
    assert time.monotonic() - started >= 29 / 60


def test_what_fails_here_is_no_silence_there(plain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none_left(*_args: Any, **_named: Any) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(scan.asyncio, "open_connection", none_left)
    seen = sources.look(configured(plain))
    assert not seen.complete
    assert "Too many open files" in seen.warnings[0]


def test_a_name_counts_that_leads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert names.names_of(["127.0.0.1"]) == {"127.0.0.1": "localhost"}

    def called(address: str) -> tuple[str, list[str], list[str]]:
        if address == "10.0.0.3":
            raise socket.herror(1, "Unknown host")
        if address == "10.0.0.4":
            raise socket.herror(2, "Host name lookup failure")
        return "Pool.Example.org.", [], [address]

    monkeypatch.setattr(names.socket, "gethostbyaddr", called)
    monkeypatch.setattr(names.socket, "getaddrinfo", lambda name, *_a, **_n: [(2, 1, 6, "", ("10.0.0.1", 0))])
    assert names.names_of(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]) == {
        "10.0.0.1": "pool.example.org", "10.0.0.2": "", "10.0.0.3": "", "10.0.0.4": None,
    }  # fmt: skip


def test_a_resolver_that_is_away_touches_nothing(plain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_name_of", lambda _address: None)
    with pytest.raises(Unavailable) as refusal:
        sources.look(configured(plain, names=True))
    assert refusal.value.field == "settings.names"


@pytest.mark.parametrize(
    "given_, field",
    [
        ({"ranges": []}, "ranges"),
        ({}, "ranges"),
        ({"ranges": ["10.0.0.0/19"]}, "ranges"),
        ({"ranges": ["127.0.0.1"]}, "ranges"),
        ({"ranges": ["10.0.0.1"], "ports": []}, "ports"),
        ({"ranges": ["10.0.0.1"], "ports": list(range(1, 40))}, "ports"),
        ({"ranges": ["10.0.0.1"], "ports": [0]}, "ports[0]"),
        ({"ranges": ["10.0.0.0/20"], "ports": [22, 80, 443], "rate": 50}, "rate"),
        ({"ranges": ["10.0.0.0/20"], "ports": [22], "timeout_seconds": 10, "concurrency": 10}, "rate"),
    ],
)
def test_settings_that_will_not_do_are_refused_before_anything_is_asked(given_: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        SOURCE.validate(given_)
    assert refusal.value.field == f"settings.{field}"
    assert refusal.value.remedy
