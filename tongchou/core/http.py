"""The one door out for HTTP: every request has a deadline, a size cap and passes the SSRF guard.

The name is resolved once and the connection goes to that address, so a name that changes its answer
between check and use (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import random
import socket
import ssl
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urljoin

import httpx
from django.conf import settings

if importlib.util.find_spec("sniffio") is None:
    # httpcore tries to import it several times a request, and what is not there is searched anew in every folder: a
    # fifth of a small request.
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # None: there is no such module

MAX_REDIRECTS = 5
USER_AGENT = "tongchou/0.1"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
RETRY_STATUS = frozenset({429, 502, 503, 504})
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
# Where clouds answer with credentials, outside 169.254.0.0/16: Alibaba, Oracle, Azure, AWS over IPv6.
METADATA = frozenset(
    ipaddress.ip_address(each) for each in ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254")
)


class HttpError(Exception):
    """An outgoing request that brought no usable answer."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Refused(HttpError):
    """We did not send it: the address is not one we may reach (or the URL is not one)."""


class Failed(HttpError):
    """We sent it. `reason`: timeout, connect, tls, too_large, redirect, protocol."""


@dataclass(frozen=True)
class Response:
    """An answer, whatever its status; the body is within the cap, and complete unless it was `cut` there."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    cut: bool = False


@cache
def _networks(entries: tuple[str, ...]) -> tuple[list[ipaddress.IPv4Network | ipaddress.IPv6Network], set[str]]:
    networks, names = [], set()
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            names.add(entry.lower())
    return networks, names


def _inner(address: Address) -> Address:
    """The IPv4 address that packets to an IPv6 address end at, where one is written inside (RFC 4291, 3056, 6052)."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _listed(host: str, address: Address, entries: Sequence[str]) -> bool:
    networks, names = _networks(tuple(entries))
    return host.lower() in names or any(each in network for network in networks for each in (address, _inner(address)))


def _denial(host: str, address: Address) -> str | None:
    listed = _listed(host, address, settings.HTTP_DENY)
    return f"{host} ({address}) is listed in TONGCHOU_HTTP_DENY" if listed else None


def refusal(host: str, address: Address) -> str | None:
    """Return why `address` may not be reached, or None. Pure but for the two settings HTTP_ALLOW and HTTP_DENY."""
    return _denial(host, address) or _reason(host, address, tuple(settings.HTTP_ALLOW))


@lru_cache(maxsize=4096)  # scrapes ask for the same ones again and again
def _reason(host: str, address: Address, allowed: tuple[str, ...]) -> str | None:
    """Why an address that is not denied may not be reached."""
    if _listed(host, address, allowed):
        return None
    address = _inner(address)
    kinds = {
        "cloud metadata": address in METADATA,
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "unspecified": address.is_unspecified,
        "multicast": address.is_multicast,
        "reserved": address.is_reserved and not address.is_private,
    }
    for kind, applies in kinds.items():
        if applies:
            return f"{host} ({address}) is a {kind} address; list it in TONGCHOU_HTTP_ALLOW to reach it"
    return None


def permitted(host: str, port: int) -> list[str]:
    """Return the addresses of `host`, for a protocol other than HTTP; connect to these, not to the name again.

    Raises Refused when any of them may not be reached, Failed when there is none. `port` only helps the resolver.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Failed("connect", f"{host} cannot be resolved: {error}") from error
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    for address in addresses:
        why = refusal(host, ipaddress.ip_address(address.partition("%")[0]))
        if why:
            raise Refused("refused", why)
    return addresses


def _own_metrics(method: str, url: httpx.URL, purpose: str) -> bool:
    """Whether this is the platform watching itself, the one request to this host that needs no permission."""
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    wanted = ("GET", "http", "127.0.0.1", settings.PORT, "/metrics")
    return purpose == "scrape" and (method.upper(), url.scheme, url.host, port, url.path) == wanted


def _check(url: httpx.URL, infos: list[str], method: str, purpose: str) -> str:
    """Return the address to connect to; refuse when any of the name's addresses is refused."""
    if not infos:
        raise Failed("connect", f"{url.host} has no address")
    forbids = _denial if _own_metrics(method, url, purpose) else refusal
    for info in infos:
        why = forbids(url.host, ipaddress.ip_address(info.partition("%")[0]))
        if why:
            raise Refused("refused", why)
    return infos[0]


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise Refused("url", f"not a URL: {str(url)[:200]!r}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Refused("url", f"only http:// and https:// URLs with a host are sent, not {str(url)[:200]!r}")
    if parsed.userinfo:
        raise Refused("url", "credentials in a URL end up in logs; pass a header instead")
    return parsed


def _pinned(url: httpx.URL, address: str) -> tuple[httpx.URL, dict[str, str], dict[str, str]]:
    """Return (URL with the address, extra headers, httpx extensions) that reach `url` at exactly `address`."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    default = {"http": 80, "https": 443}[url.scheme]
    header = host if url.port in (None, default) else f"{host}:{url.port}"
    return url.copy_with(host=address), {"Host": header}, {"sni_hostname": url.host}


def _resolve(url: httpx.URL, method: str, purpose: str) -> str:
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    try:
        found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Failed("connect", f"{url.host} cannot be resolved: {error}") from error
    return _check(url, [str(each[4][0]) for each in found], method, purpose)


async def _aresolve(url: httpx.URL, method: str, purpose: str) -> str:
    try:
        return _check(url, [str(ipaddress.ip_address(url.host))], method, purpose)
    except ValueError:
        return await asyncio.get_running_loop().run_in_executor(None, _resolve, url, method, purpose)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _failed(error: Exception, timeout_seconds: float) -> Failed:
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return Failed("timeout", f"no complete answer within {timeout_seconds:g} s")
    if isinstance(error, httpx.ConnectError):
        return Failed("tls" if "SSL" in str(error) or "certificate" in str(error) else "connect", str(error))
    return Failed("protocol", f"{type(error).__name__}: {error}")


def _headers(headers: Mapping[str, str] | None, extra: Mapping[str, str]) -> dict[str, str]:
    return {"User-Agent": USER_AGENT, **(headers or {}), **extra}


def _next_hop(url: httpx.URL, status: int, headers: Mapping[str, str], hops: int, follow: bool) -> httpx.URL | None:
    """Return where a redirect leads, None when the answer is no redirect."""
    if status not in (301, 302, 303, 307, 308) or "location" not in headers:
        return None
    if not follow:
        raise Failed("redirect", f"answered {status} to {headers['location'][:200]}; redirects are not followed here")
    if hops >= MAX_REDIRECTS:
        raise Failed("redirect", f"more than {MAX_REDIRECTS} redirects")
    return _parse(urljoin(str(url), headers["location"]))


def _send_once(
    method: str,
    url: httpx.URL,
    address: str,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: float,
    cap: int,
    cut: bool,
    tls: ssl.SSLContext,
) -> Response:
    pinned, host, extensions = _pinned(url, address)
    left = max(0.001, deadline - time.monotonic())
    given = {"headers": _headers(headers, host), "content": body, "extensions": extensions}
    return asyncio.run(_exchange(method, pinned, given, left, cap, cut, str(url), tls))


async def _exchange(
    method: str,
    pinned: httpx.URL,
    given: dict[str, Any],
    left_seconds: float,
    cap: int,
    cut: bool,
    url: str,
    tls: ssl.SSLContext,
) -> Response:
    """One exchange on its own connection within a deadline that nothing stretches.

    A blocking client's timeouts are for each read: a peer that drips its headers byte by byte would hold it for ever.
    And a kept connection may have been closed by the peer, after which nobody knows whether a request arrived.
    """
    client = httpx.AsyncClient(verify=tls, trust_env=False, timeout=left_seconds)
    async with asyncio.timeout(left_seconds), client:
        answer = await client.send(client.build_request(method, pinned, **given), stream=True)
        parts, size = [], 0
        try:
            async for part in answer.aiter_bytes():
                size += len(part)
                parts.append(part)
                if size > cap and cut:
                    break
                if size > cap:
                    raise Failed("too_large", f"the answer is over {cap:,} bytes")
        finally:
            await answer.aclose()
    return Response(answer.status_code, answer.headers, b"".join(parts)[:cap], url, cut=size > cap)


def fetch(
    method: str,
    url: str,
    *,
    purpose: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_seconds: float = 10.0,
    max_bytes: int = 1_000_000,
    cut: bool = False,
    retries: int = 0,
    follow_redirects: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Response:
    """Send one request and return the complete answer, whatever its status.

    `timeout_seconds` is the deadline of the whole exchange, retries and redirects included. `retries` repeats on
    connection errors and 429/502/503/504: only for requests that may be repeated. `purpose` names the caller: "scrape"
    may read this platform's own /metrics. With `cut` a body over `max_bytes` is read so far and no further, instead of
    being a failure.
    `tls`: authorities and a certificate other than the system's. Raises Refused (not sent) or Failed.
    """
    deadline = time.monotonic() + timeout_seconds
    target, hops, tries = _parse(url), 0, 0
    while True:
        try:
            address = _resolve(target, method, purpose)
            answer = _send_once(method, target, address, headers or {}, body, deadline, max_bytes, cut, tls or _tls())
        except (httpx.HTTPError, OSError) as error:
            if tries >= retries or time.monotonic() >= deadline:
                raise _failed(error, timeout_seconds) from error
        else:
            if answer.status not in RETRY_STATUS or tries >= retries:
                onward = _next_hop(target, answer.status, answer.headers, hops, follow_redirects)
                if onward is None:
                    return answer
                target, hops = onward, hops + 1
                continue
        tries += 1
        time.sleep(max(0.0, min(0.2 * 2**tries * (0.5 + random.random()), deadline - time.monotonic())))  # noqa: S311  # jitter, not a secret


class Place:
    """One place that is asked again and again, over a connection that is kept in between. For one event loop.

    A pool for all places is searched whole for every request: with 500 of them that is nearly all a request costs.
    """

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        purpose: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 10.0,
        max_bytes: int = 1_000_000,
    ) -> Response:
        """Like `fetch`, without retries; a redirect is a failure: a scrape must not wander."""
        target = _parse(url)
        if self._client is None:
            self._client = httpx.AsyncClient(verify=_tls(), trust_env=False, limits=_ONE, follow_redirects=False)
        try:
            async with asyncio.timeout(timeout_seconds):
                pinned, host, extensions = _pinned(target, await _aresolve(target, method, purpose))
                request = self._client.build_request(
                    method,
                    pinned,
                    headers=_headers(headers, host),
                    content=body,
                    extensions=extensions,
                    timeout=timeout_seconds,
                )
                answer = await self._client.send(request, stream=True)
                try:
                    parts, size = [], 0
                    async for part in answer.aiter_bytes():
                        size += len(part)
                        if size > max_bytes:
                            raise Failed("too_large", f"the answer is over {max_bytes:,} bytes")
                        parts.append(part)
                finally:
                    await answer.aclose()
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            raise _failed(error, timeout_seconds) from error
        _next_hop(target, answer.status_code, answer.headers, 0, False)
        return Response(answer.status_code, answer.headers, b"".join(parts), str(target))

    async def close(self) -> None:
        """Close the connection; a later request opens one again."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


_ONE = httpx.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=30.0)
