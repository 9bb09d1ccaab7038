"""The load balancer's switches over HTTP, for scripts: put into its Runtime API, whichever balancer runs."""

from __future__ import annotations

import asyncio
import csv
import io

from tongchou.demo.shop.http1 import Handler, Request, Response, answer, problem

DEFAULT_BACKEND = "storefront"


class RuntimeApi:
    """HAProxy's Runtime API on a loopback port. `command`, `servers` raise OSError when nothing answers."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def command(self, line: str) -> str:
        """Send one command, return its answer."""
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(line.encode() + b"\n")
                await writer.drain()
                return (await reader.read()).decode()
            finally:
                writer.close()

    async def servers(self) -> list[dict[str, object]]:
        """All servers with backend, address, weight, status."""
        text = await self.command("show stat -1 4 -1")
        rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
        return [
            {"backend": row["pxname"], "name": row["svname"], "address": row["addr"], "weight": int(row["weight"] or 0),
             "status": row["status"], "open": int(row["scur"] or 0)}
            for row in rows
        ]  # fmt: skip


class Switches:
    """Handlers of /balancer/servers."""

    def __init__(self, api: RuntimeApi) -> None:
        self.api = api

    def answering(self, work: Handler) -> Handler:
        """`work`, with 502 when the balancer does not answer."""

        async def handle(request: Request) -> Response:
            try:
                return await work(request)
            except OSError as error:
                return problem(502, f"the load balancer's Runtime API: {error}")

        return handle

    async def list(self, _request: Request) -> Response:
        """GET /balancer/servers."""
        return answer({"items": await self.api.servers()})

    async def add(self, request: Request) -> Response:
        """{"name", "address", "backend"?}: put a server behind the balancer, taking requests; again is harmless."""
        value = request.json()
        name, address = str(value.get("name", "")), str(value.get("address", ""))
        backend = str(value.get("backend", DEFAULT_BACKEND))
        if not _is_name(name) or not _is_name(backend) or not address.replace(".", "").replace(":", "").isalnum():
            return problem(422, "name and address (host:port) are needed")
        known = {str(server["name"]): server["address"] for server in await self.api.servers()}
        if name in known and known[name] != address:
            return problem(409, f"{name} is at {known[name]}")
        if name in known:
            await self.api.command(f"enable server {backend}/{name}")
            return await self.list(request)
        said = await self.api.command(
            f"add server {backend}/{name} {address} check inter 500ms fall 2 rise 1 weight 100"
        )
        if "registered" not in said:
            return problem(502, said.strip())
        await self.api.command(f"enable health {backend}/{name}")
        await self.api.command(f"enable server {backend}/{name}")
        return await self.list(request)

    async def switch(self, request: Request) -> Response:
        """{"state": ready|drain|maint} and/or {"weight": 0..256} for the server named in the path."""
        name, value = request.path.rsplit("/", 1)[1], request.json()
        backend = next((each["backend"] for each in await self.api.servers() if each["name"] == name), None)
        if backend is None:
            return problem(404, "no such server")
        state, weight = value.get("state"), value.get("weight")
        if state not in (None, "ready", "drain", "maint") or not (
            weight is None or (isinstance(weight, int) and 0 <= weight <= 256)
        ):
            return problem(422, "state is ready, drain or maint; weight is 0 to 256")
        said = ""
        if state is not None:
            said += await self.api.command(f"set server {backend}/{name} state {state}")
        if weight is not None:
            said += await self.api.command(f"set server {backend}/{name} weight {weight}")
        return problem(502, said.strip()) if said.strip() else await self.list(request)


def _is_name(text: str) -> bool:
    return text.replace("-", "").isalnum() and text.isascii()
