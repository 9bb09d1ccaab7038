"""HAProxy as the shop's load balancer: its configuration, and its switches over the stats socket."""

from __future__ import annotations

import asyncio
import csv
import io
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tongchou.demo.shop.http1 import Request, Response, answer, problem

BACKEND = "storefront"
_CONFIG = """\
global
    maxconn 2000
    stats socket {socket} mode 600 level admin
defaults
    mode http
    timeout connect 500ms
    timeout client 60s
    timeout server 4s
    timeout queue 2s
    timeout http-request 5s
    retries 2
    option redispatch
    retry-on conn-failure
frontend shop
    bind 127.0.0.1:{traffic_port}
    default_backend {backend}
backend {backend}
    balance roundrobin
    option httpchk GET /healthz
    default-server check inter 500ms fall 2 rise 1 weight 100
{servers}
frontend stats
    bind 127.0.0.1:{metrics_port}
    http-request return status 200 content-type text/plain string ok if {{ path /healthz }}
    http-request set-query scope=backend&scope=server if {{ path /metrics }}
    http-request use-service prometheus-exporter if {{ path /metrics }}
"""


@cache
def installed() -> str | None:
    """Path of a HAProxy that was built with its Prometheus exporter, else None."""
    path = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        return None
    about = subprocess.run(  # noqa: S603 - the path was found on PATH, no shell
        [path, "-vv"], capture_output=True, text=True, timeout=10, check=False
    ).stdout
    return path if "prometheus-exporter" in about else None


def config(socket: Path, traffic_port: int, metrics_port: int, servers: Mapping[str, str]) -> str:
    """The configuration file for these servers (name -> host:port)."""
    lines = "\n".join(f"    server {name} {address}" for name, address in servers.items())
    return _CONFIG.format(
        socket=socket, traffic_port=traffic_port, metrics_port=metrics_port, backend=BACKEND, servers=lines
    )


class StatsSocket:
    """The runtime API. Every method raises OSError when HAProxy does not answer."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def command(self, line: str) -> str:
        """Send one command, return its answer."""
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_unix_connection(str(self.path))
            try:
                writer.write(line.encode() + b"\n")
                await writer.drain()
                return (await reader.read()).decode()
            finally:
                writer.close()

    async def servers(self) -> list[dict[str, object]]:
        """All servers with address, weight, status."""
        text = await self.command(f"show stat {BACKEND} 4 -1")
        rows = csv.DictReader(io.StringIO(text.lstrip("# ")))
        return [
            {"name": row["svname"], "address": row["addr"], "weight": int(row["weight"] or 0), "status": row["status"],
             "open": int(row["scur"] or 0)}
            for row in rows
        ]  # fmt: skip

    async def list(self, _request: Request) -> Response:
        """GET /balancer/servers."""
        return answer({"items": await self.servers()})

    async def add(self, request: Request) -> Response:
        """{"name", "address"}: put a new server behind the balancer; the same again is harmless."""
        value = request.json()
        name, address = str(value.get("name", "")), str(value.get("address", ""))
        if not name.replace("-", "").isalnum() or not address.replace(".", "").replace(":", "").isalnum():
            return problem(422, "name and address (host:port) are needed")
        known = {str(server["name"]): server["address"] for server in await self.servers()}
        if name in known:
            return await self.list(request) if known[name] == address else problem(409, f"{name} is at {known[name]}")
        said = await self.command(f"add server {BACKEND}/{name} {address} check inter 500ms fall 2 rise 1 weight 100")
        if "registered" not in said:
            return problem(502, said.strip())
        await self.command(f"enable health {BACKEND}/{name}")
        await self.command(f"enable server {BACKEND}/{name}")
        return await self.list(request)

    async def switch(self, request: Request) -> Response:
        """{"state": ready|drain|maint} and/or {"weight": 0..256} for the server named in the path."""
        name, value = request.path.rsplit("/", 1)[1], request.json()
        if name not in {server["name"] for server in await self.servers()}:
            return problem(404, "no such server")
        state, weight = value.get("state"), value.get("weight")
        if state not in (None, "ready", "drain", "maint") or not (
            weight is None or (isinstance(weight, int) and 0 <= weight <= 256)
        ):
            return problem(422, "state is ready, drain or maint; weight is 0 to 256")
        said = ""
        if state is not None:
            said += await self.command(f"set server {BACKEND}/{name} state {state}")
        if weight is not None:
            said += await self.command(f"set server {BACKEND}/{name} weight {weight}")
        return problem(502, said.strip()) if said.strip() else await self.list(request)
