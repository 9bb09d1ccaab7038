"""Signing in as MySQL has it: the proofs are those a server checks, and nothing is shown to one that is not trusted."""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations.services import neighbours
from tests.integrations.services.test_source import Fed
from tongchou.integrations.services import mysql_login
from tongchou.integrations.services.mysql_login import _answer, tables
from tongchou.integrations.services.source import UNREADABLE
from tongchou.integrations.services.talk import UnexpectedError, addresses_of, talk

CHALLENGE = b"12345678901234567890"
TLS = ssl.create_default_context()


@given(st.binary(min_size=1, max_size=40), st.binary(min_size=20, max_size=20))
def test_a_server_that_knows_the_stored_half_finds_the_proof_true(password: bytes, challenge: bytes) -> None:
    def sha1(text: bytes) -> bytes:
        return hashlib.sha1(text, usedforsecurity=False).digest()

    def sha256(text: bytes) -> bytes:
        return hashlib.sha256(text).digest()

    def undone(proof: bytes, mask: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(proof, mask, strict=True))

    stored = sha1(sha1(password))
    assert sha1(undone(_answer("mysql_native_password", password, challenge), sha1(challenge + stored))) == stored
    stored = sha256(sha256(password))
    proof = _answer("caching_sha2_password", password, challenge)
    assert sha256(undone(proof, sha256(stored + challenge))) == stored


def packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def greeting(abilities: int = 0xFFFF, plugin: bytes = b"caching_sha2_password") -> bytes:
    body = b"\x0a8.4.0\0" + bytes(4) + CHALLENGE[:8] + b"\0" + struct.pack("<H", abilities) + b"\x2d\x02\0\xff\xff\x15"
    return packet(0, body + bytes(10) + CHALLENGE[8:] + b"\0" + plugin + b"\0")


def sign_in(port: int, tls: ssl.SSLContext = TLS, **more: str) -> Any:
    known = {"host": "127.0.0.1", "user": "u", "password": "canary", **more}
    with talk("127.0.0.1", addresses_of("127.0.0.1", port), port, time.monotonic() + 3) as opened:
        return tables(opened, known, tls)


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.1"]


def test_the_password_itself_is_told_inside_tls_only() -> None:
    heard: list[bytes] = []

    def behave(peer: socket.socket) -> None:
        peer.settimeout(3)
        peer.sendall(greeting())
        heard.append(peer.recv(4096))
        peer.sendall(packet(2, b"\x01\x04"))  # the full sign-in, please
        heard.append(peer.recv(4096))

    with neighbours.listening(behave) as port, pytest.raises(UnexpectedError, match="sslmode=require"):
        sign_in(port)
    assert b"canary" not in b"".join(heard)


def authority(folder: Path) -> Path:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = made.sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.TraditionalOpenSSL
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_is_looked_at_before_anything_is_shown(tmp_path: Path, trusted: bool) -> None:
    file, heard = authority(tmp_path), []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)

    def behave(peer: socket.socket) -> None:
        peer.settimeout(3)
        peer.sendall(greeting())
        heard.append(peer.recv(36))  # and not what follows it
        with server.wrap_socket(peer, server_side=True) as inside:
            heard.append(inside.recv(4096))
            inside.sendall(packet(3, b"\x01\x04"))
            heard.append(inside.recv(4096))
            inside.sendall(packet(5, b"\xff\x15\x04"))

    client = ssl.create_default_context()
    if trusted:
        client.load_verify_locations(file)
        client.check_hostname = False  # the certificate of the test names no address
    with neighbours.listening(behave) as port, pytest.raises(UnexpectedError) as refusal:
        sign_in(port, client, sslmode="require")
    if trusted:
        assert "error 1045" in str(refusal.value)
        assert heard[2] == packet(4, b"canary\0")
    else:
        assert "certificate is not trusted" in str(refusal.value)
        assert len(heard) == 1


def test_a_server_without_tls_is_not_signed_in_to_where_tls_is_asked_for() -> None:
    behave = neighbours.answering(greeting(0xFFFF & ~0x0800), greets=True)
    with neighbours.listening(behave) as port, pytest.raises(UnexpectedError, match="offers no TLS"):
        sign_in(port, sslmode="verify-full")


def test_a_name_of_a_database_is_no_sql() -> None:
    heard: list[bytes] = []

    def behave(peer: socket.socket) -> None:
        peer.settimeout(3)
        peer.sendall(greeting(plugin=b"mysql_native_password"))
        peer.recv(4096)
        peer.sendall(packet(2, b"\0\0\0\x02\0\0\0"))
        heard.append(peer.recv(4096))

    with neighbours.listening(behave) as port, pytest.raises(UnexpectedError):
        sign_in(port, dbname="x' OR '1'='1")
    assert b"OR '1'" not in heard[0]
    assert b"table_schema = x'" in heard[0]


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_bytes_break_the_reader(rest: bytes, greets: bool) -> None:
    known = {"host": "h", "user": "u", "password": "p"}
    try:
        found = mysql_login.tables(Fed((greeting() if greets else b"") + rest), known, TLS)
    except (UnexpectedError, *UNREADABLE):
        return
    assert isinstance(found, dict)
