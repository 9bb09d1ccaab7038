"""The shipped nginx and HAProxy configurations, started for real in front of a real platform."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import pwd
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.served import START_SECONDS as PATIENCE
from tests.served import Served, free_port

pytestmark = pytest.mark.slice
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
BATCH = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
PASSWORD = "correct horse battery"
NGINX, HAPROXY = shutil.which("nginx", path="/usr/sbin:/usr/bin"), shutil.which("haproxy", path="/usr/sbin:/usr/bin")


@dataclass
class Proxy:
    """A proxy with TLS in front of the platform."""

    url: str
    plain_url: str
    served: Served
    authority: Path

    def client(self, **more: Any) -> httpx.Client:
        """Return a client that believes the tests' authority; `local` is the address it comes from."""
        context = ssl.create_default_context(cafile=str(self.authority))
        transport = httpx.HTTPTransport(verify=context, local_address=more.pop("local", "127.0.0.1"))
        return httpx.Client(base_url=self.url, transport=transport, timeout=30, **more)


def certificates(folder: Path) -> Path:
    """Make an authority and a certificate for localhost; return the authority's file."""
    now = dt.datetime.now(dt.UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests' authority")])

    def build(name: x509.Name, public: Any, extension: Any, critical: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(public)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(hours=1))
        builder = builder.not_valid_after(now + dt.timedelta(days=1)).add_extension(extension, critical=critical)
        return builder.sign(authority_key, hashes.SHA256())

    top = build(issuer, authority_key.public_key(), x509.BasicConstraints(ca=True, path_length=0), True)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    own = build(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), key.public_key(), names, False)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "authority.pem").write_bytes(top.public_bytes(pem))
    (folder / "fullchain.pem").write_bytes(own.public_bytes(pem))
    (folder / "key.pem").write_bytes(private)
    (folder / "haproxy.pem").write_bytes(own.public_bytes(pem) + private)
    return folder / "authority.pem"


def nginx(folder: Path, platform: int, tls: int, plain: int) -> list[str]:
    """Write a whole configuration around the shipped one; return the command."""
    text = (DEPLOY / "nginx.conf").read_text().replace("127.0.0.1:8420", f"127.0.0.1:{platform}")
    text = text.replace("listen 443 ", f"listen 127.0.0.1:{tls} ").replace("listen 80;", f"listen 127.0.0.1:{plain};")
    text = text.replace("tongchou.example.org", "localhost").replace("/etc/tongchou/tls", str(folder))
    temporary = "".join(
        f"{each}_temp_path {folder}/{each};\n" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = f"user {pwd.getpwuid(os.geteuid()).pw_name};\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{text}\n}}\n"
    )
    return [str(NGINX), "-e", f"{folder}/error.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"]


def haproxy(folder: Path, platform: int, tls: int, plain: int) -> list[str]:
    """Write the shipped configuration with the tests' ports; return the command."""
    text = (DEPLOY / "haproxy.cfg").read_text().replace("127.0.0.1:8420", f"127.0.0.1:{platform}")
    text = text.replace("bind :443 ", f"bind 127.0.0.1:{tls} ").replace("bind :80\n", f"bind 127.0.0.1:{plain}\n")
    (folder / "haproxy.cfg").write_text(text.replace("/etc/tongchou/tls", str(folder)))
    return [str(HAPROXY), "-db", "-f", f"{folder}/haproxy.cfg"]


KINDS = {"nginx": (NGINX, nginx), "haproxy": (HAPROXY, haproxy)}


@pytest.fixture(scope="module")
def ports() -> dict[str, tuple[int, int]]:
    return {kind: (free_port(), free_port()) for kind in KINDS}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, tuple[int, int]]) -> Iterator[Served]:
    """A platform that believes proxies on 127.0.0.1 and knows both public addresses."""
    origins = [f"https://localhost:{tls}" for tls, _plain in ports.values()]
    one = Served(
        tmp_path_factory.mktemp("proxies") / "data",
        TONGCHOU_PUBLIC_URL=origins[0],
        TONGCHOU_TRUSTED_ORIGINS=",".join(origins),
        TONGCHOU_TRUSTED_PROXIES="127.0.0.1",
        TONGCHOU_ADMIN_PASSWORD=PASSWORD,
    )
    yield one.start()
    one.stop()


@pytest.fixture(scope="module", params=list(KINDS))
def proxy(request: Any, served: Served, ports: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    program, configure = KINDS[request.param]
    if program is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    authority = certificates(folder)
    tls, plain = ports[request.param]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(configure(folder, served.port, tls, plain), stdout=log, stderr=log)
    one = Proxy(f"https://localhost:{tls}", f"http://localhost:{plain}", served, authority)
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, (folder / "log").read_text()
        try:
            with one.client() as client:
                client.get("/healthz").raise_for_status()
            break
        except httpx.TransportError:
            time.sleep(0.1)
    yield one
    process.terminate()
    process.wait(20)


def sign_in(client: httpx.Client, password: str = PASSWORD, **headers: str) -> httpx.Response:
    """Sign in as a browser would."""
    client.get("/accounts/login/").raise_for_status()
    sent = {"Referer": f"{client.base_url}/accounts/login/", "X-CSRFToken": client.cookies["csrftoken"], **headers}
    return client.post("/accounts/login/", data={"login": "admin", "password": password}, headers=sent)


def test_people_sign_in_over_tls_with_secure_cookies_and_hsts(proxy: Proxy) -> None:
    with proxy.client() as client:
        answer = sign_in(client)
        assert (answer.status_code, answer.headers["location"]) == (302, "/")
        cookies = answer.headers.get_list("set-cookie")
        assert len(cookies) >= 2
        assert all("Secure" in each and "SameSite=Lax" in each for each in cookies)
        page = client.get("/")
        assert page.status_code == 200
        assert page.headers["strict-transport-security"] == "max-age=31536000"
        assert re.fullmatch(r"[A-Za-z0-9._-]{8,80}", page.headers["x-request-id"])
    assert httpx.get(f"{proxy.plain_url}/runs?a=b").headers["location"].startswith("https://localhost")


def test_live_pages_are_told_at_once(proxy: Proxy) -> None:
    with proxy.client() as client:
        sign_in(client)
        started = time.monotonic()
        with client.stream("GET", "/live/events") as stream, proxy.served.client() as api:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("event:")) == "event: hello"
            assert time.monotonic() - started < 5
            time.sleep(1.0)
            name = f"u{time.monotonic_ns()}"
            api.post("/api/v1/users", json={"username": name, "role": "viewer"}).raise_for_status()
            sent = time.monotonic()
            told = (json.loads(line[6:]) for line in lines if line.startswith("data: {"))
            assert next(each for each in told if each.get("verb") == "user.created")
            assert time.monotonic() - sent < 5, "a buffered stream comes much later"


def addresses(proxy: Proxy) -> list[str]:
    """The addresses of the failed sign-ins, newest first."""
    with proxy.served.client() as api:
        found = api.get("/api/v1/events", params={"verb": "user.sign_in_failed", "limit": 500}).json()["items"]
    return [each["payload"]["address"] for each in sorted(found, key=lambda each: -int(each["id"]))]


def test_the_proxy_names_the_client_and_a_client_cannot_name_itself(proxy: Proxy) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"}
    with proxy.client(local="127.0.0.2") as client:
        assert sign_in(client, "wrong-91", **forged).status_code == 200
    assert addresses(proxy)[0] == "127.0.0.2", "the client's, not the proxy's and not the forged one"
    transport = httpx.HTTPTransport(local_address="127.0.0.3")  # straight to the platform, from no trusted proxy
    with httpx.Client(base_url=proxy.served.url, transport=transport, timeout=30) as client:
        client.get("/healthz", headers=forged).raise_for_status()
        page = client.get("/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token
        cookie = page.headers["set-cookie"].partition(";")[0]
        sent = {**forged, "Cookie": cookie, "X-CSRFToken": token.group(1), "Referer": f"{client.base_url}/"}
        client.post("/accounts/login/", data={"login": "admin", "password": "wrong-92"}, headers=sent)
    assert addresses(proxy)[0] == "127.0.0.3"


def test_a_body_over_the_limit_is_refused_and_the_connection_stays_of_use(proxy: Proxy) -> None:
    with proxy.client(headers={"Authorization": f"Bearer {proxy.served.token}"}) as client:
        size = 33 * 1024 * 1024
        try:
            status = client.post("/prometheus/api/v1/write", content=b"\0" * size).status_code
        except httpx.WriteError:  # refused by its announced length while it was still being sent
            status = 413
        assert status == 413
        assert client.get("/api/v1/me").status_code == 200
        # within the proxy's limit the platform itself decides, by name
        middle = client.post("/prometheus/api/v1/write", content=b"\0" * (17 * 1024 * 1024), headers=BATCH)
        assert middle.status_code == 413
        assert middle.headers["content-type"] == "application/problem+json"


def test_the_metrics_need_a_token_through_the_proxy(proxy: Proxy) -> None:
    with proxy.client() as client:
        assert client.get("/metrics").status_code == 401
        header = {"Authorization": f"Bearer {proxy.served.token}"}
        assert "tongchou_build_info" in client.get("/metrics", headers=header).text


def test_logs_and_queries_pass(proxy: Proxy) -> None:
    header = {"Authorization": f"Bearer {proxy.served.token}"}
    with proxy.client(headers=header) as client:
        line = [str(time.time_ns()), "through the proxy"]
        pushed = client.post("/loki/api/v1/push", json={"streams": [{"stream": {"job": "proxy"}, "values": [line]}]})
        assert pushed.status_code == 204
        asked = client.get("/prometheus/api/v1/query", params={"query": "1+1"})
        assert asked.json()["data"]["result"][1] == "2"


def test_both_wait_longer_than_the_longest_query() -> None:
    """Read, not waited for: a query of half a minute is not to be had in a test."""
    longest = 30 + 5
    assert int(re.search(r"\n    proxy_read_timeout (\d+)s;", (DEPLOY / "nginx.conf").read_text()).group(1)) > longest  # type: ignore[union-attr]  # fails when it is gone
    assert int(re.search(r"\n    timeout server (\d+)s", (DEPLOY / "haproxy.cfg").read_text()).group(1)) > longest  # type: ignore[union-attr]  # the same
