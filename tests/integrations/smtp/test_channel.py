"""Mail against a real SMTP server."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from tests.integrations.smtp.sink import Sink, listening
from tongchou.alerting.ports import AlertMessage, ExplainedMessage, Message, Outcome
from tongchou.core.problems import Invalid
from tongchou.integrations.smtp.channel import CHANNEL
from tongchou.integrations.smtp.compose import compose

NOW = dt.datetime(2026, 3, 1, 8, tzinfo=dt.UTC)
ALERT = AlertMessage(
    "firing", {"alertname": "Slow", "service": "orders"}, {"summary": "orders <b>slow</b>"}, NOW, None, "f", "http://t/"
)
MESSAGE = Message(
    id="msg_1",
    status="firing",
    receiver="ops",
    group_key="{}",
    group_labels={"service": "orders"},
    alerts=(ALERT,),
    truncated=0,
    external_url="http://t",
    url="http://t/alerts/groups/1",
    thread="abc",
)


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8", "::1/128"]


def send(sink: Sink, message: Message = MESSAGE, secret: str | None = None, **changes: Any) -> Outcome:
    wanted = {
        "host": "127.0.0.1",
        "port": sink.port,
        "security": "none",
        "from": "tongchou@example.org",
        "to": ["a@example.org", "b@example.org"],
        **changes,
    }
    return CHANNEL.send(CHANNEL.check(wanted), secret, message)


def test_a_mail_has_text_and_html_and_hangs_on_its_group() -> None:
    with listening(Sink()) as sink:
        assert send(sink) == Outcome(True, "accepted")
        ended = replace(MESSAGE, id="msg_2", status="resolved", reason="closed")
        assert send(sink, ended, language="zh-hans").delivered
    first, second = sink.parsed()
    assert sink.mails[0][:2] == ("tongchou@example.org", ["a@example.org", "b@example.org"])
    assert first["Subject"] == "[FIRING:1] orders"
    assert (first["Message-ID"], second["Message-ID"]) == ("<msg_1@example.org>", "<msg_2@example.org>")
    assert first["References"] == second["References"] == "<group.abc@example.org>"
    text, html = (first.get_body([kind]) for kind in ("plain", "html"))
    assert text is not None
    assert "orders <b>slow</b>" in text.get_content()
    assert html is not None
    assert "orders &lt;b&gt;slow&lt;/b&gt;" in html.get_content()


def test_what_it_explains_is_said() -> None:
    with listening(Sink()) as sink:
        send(sink, replace(MESSAGE, explained=(ExplainedMessage('{}:{service="web"}', 3),), reason="update"))
    (mail,) = sink.parsed()
    text = mail.get_body(["plain"])
    assert text is not None
    assert '{}:{service="web"}: 3' in text.get_content()
    assert mail["Subject"] == "[FIRING:1] orders (update)"


hostile = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(
    lambda text: f"x\r\nBcc: evil@example.org{text}"
)


@given(hostile, hostile, hostile)
def test_no_label_annotation_or_name_makes_a_header(label: str, receiver: str, summary: str) -> None:
    message = replace(
        MESSAGE,
        group_labels={"service": label},
        receiver=receiver,
        alerts=(replace(ALERT, labels={"service": label}, annotations={"summary": summary}),),
    )
    mail = compose(message, sender="t@example.org", to=["a@example.org"], language="en")
    head = mail.as_bytes().partition(b"\r\n\r\n")[0]
    assert not [line for line in head.split(b"\r\n") if line.lower().startswith(b"bcc")]
    assert mail["Bcc"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "a@example.org\r\nBcc: b@example.org"),
        ("to", ["a@example.org> SIZE=1\r\nRCPT TO:<b@example.org"]),
        ("to", []),
        ("to", "a@example.org"),
        ("host", "mail\r\n"),
        ("port", True),
        ("security", "maybe"),
        ("language", "fr"),
        ("username", "u\r\n"),
        ("timeout_seconds", 1000),
    ],
)
def test_settings_that_do_not_fit_are_named(name: str, value: Any) -> None:
    good = {"host": "mail.example.org", "from": "a@example.org", "to": ["b@example.org"], "security": "tls"}
    assert CHANNEL.check(good)["port"] == 465
    with pytest.raises(Invalid) as refused:
        CHANNEL.check({**good, name: value})
    assert refused.value.field == f"settings.{name}"


def test_a_password_never_goes_over_a_plain_connection() -> None:
    with pytest.raises(Invalid), listening(Sink()) as sink:
        send(sink, username="u", secret="p")
    with listening(Sink()) as sink:
        # The server offers no TLS: nothing is sent at all.
        outcome = send(sink, username="u", secret="p", security="starttls")
    assert (outcome.delivered, outcome.retry, sink.mails) == (False, False, [])
    assert not [each for each in sink.commands if each.startswith("AUTH")]


@pytest.mark.parametrize(
    ("answers", "delivered", "retry"),
    [
        ({"MAIL": "451 later"}, False, True),
        ({"MAIL": "550 never"}, False, False),
        ({"RCPT": "450 greylisted"}, False, True),
        ({"RCPT": "550 unknown"}, False, False),
        ({"b@example.org": "550 unknown"}, True, True),
    ],
)
def test_what_the_server_says_decides_about_another_try(answers: dict[str, str], delivered: bool, retry: bool) -> None:
    with listening(Sink(**answers)) as sink:
        outcome = send(sink)
    assert outcome.delivered == delivered
    assert delivered or outcome.retry == retry


def test_a_server_that_drips_its_answer_does_not_hold_the_worker() -> None:
    with listening(Sink(drip=True)) as sink:
        outcome = send(sink, timeout_seconds=0.5)
    assert (outcome.delivered, outcome.retry) == (False, True)


def test_an_address_that_may_not_be_reached_is_refused(settings: Any) -> None:
    settings.HTTP_ALLOW = []
    with listening(Sink()) as sink:
        outcome = send(sink)
    assert not outcome.delivered
    assert "loopback" in outcome.detail
    assert sink.commands == []


def _certificate(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_tls_from_the_first_byte_delivers_with_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 465's way: no word in the clear, an unknown certificate is refused, and so is a name it is not for."""
    with listening(Sink(tls=_certificate(tmp_path), implicit=True)) as sink:
        wanted = {"username": "u", "secret": "p", "security": "tls"}
        unknown = send(sink, host="localhost", **wanted)
        assert (unknown.delivered, "tls" in unknown.detail) == (False, True)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        other_name = send(sink, host="127.0.0.1", **wanted)
        assert (other_name.delivered, "tls" in other_name.detail) == (False, True)
        assert sink.commands == []
        assert send(sink, host="localhost", **wanted) == Outcome(True, "accepted")
    assert len(sink.mails) == 1
    assert [each for each in sink.commands if each.startswith("AUTH PLAIN")]
    assert "STARTTLS" not in sink.commands


def test_a_server_that_offers_no_starttls_gets_no_mail_in_the_clear() -> None:
    with listening(Sink()) as sink:
        outcome = send(sink, username="u", secret="p", security="starttls")
    assert not outcome.delivered
    assert sink.mails == []
    assert not [each for each in sink.commands if each.startswith(("AUTH", "MAIL"))]


def test_starttls_with_a_known_certificate_delivers_with_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(Sink(tls=_certificate(tmp_path))) as sink:
        unknown = send(sink, host="localhost", username="u", secret="p", security="starttls")
        assert not unknown.delivered
        assert "tls" in unknown.detail
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        assert send(sink, host="localhost", username="u", secret="p", security="starttls") == Outcome(True, "accepted")
    assert len(sink.mails) == 1
    assert [each for each in sink.commands if each.startswith("AUTH PLAIN")]
