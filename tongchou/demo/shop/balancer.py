"""A small load balancer with HAProxy's switches and, for what the shop's rules use, HAProxy's metric names.

Used where HAProxy is not installed. Servers are checked every half second; a server that fails is passed over and the
request is tried on the next one when its connection was refused.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Literal

from tongchou.demo.shop.frame import Frame
from tongchou.demo.shop.http1 import CallFailed, Request, Response, Server, answer, problem

CHECK_SECONDS = 0.5
PROXY = "storefront"
State = Literal["ready", "drain", "maint"]


@dataclass(slots=True)
class Target:
    """One server behind the balancer."""

    name: str
    address: str
    weight: int = 100
    state: State = "ready"
    healthy: bool = True
    open: int = 0
    credit: float = 0.0

    @property
    def status(self) -> str:
        """HAProxy's word for it."""
        if self.state == "maint":
            return "MAINT"
        if not self.healthy:
            return "DOWN"
        return "DRAIN" if self.state == "drain" else "UP"


def choose(targets: list[Target]) -> Target | None:
    """Smooth weighted round robin over servers that are UP and have weight; None when there is none."""
    candidates = [target for target in targets if target.status == "UP" and target.weight > 0]
    total = sum(target.weight for target in candidates)
    for target in candidates:
        target.credit += target.weight
    best = max(candidates, key=lambda target: target.credit, default=None)
    if best is not None:
        best.credit -= total
    return best


class Balancer:
    """Passes requests of its traffic port on; switches and metrics are on the process's own port."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.targets = {
            name: Target(name, address) for name, address in frame.settings.peers.get("storefront", {}).items()
        }
        self._numbers = itertools.count()
        registry = frame.registry
        self._answers = registry.counter("haproxy_backend_http_responses_total", "Answers by class.", ("proxy", "code"))
        for code in ("2xx", "3xx", "4xx", "5xx"):
            self._answers.add(0, PROXY, code)
        self._seconds = registry.histogram("balancer_request_duration_seconds", "Time to answer.", ("proxy",))
        self._status = registry.gauge("haproxy_server_status", "1 for the state a server has.",
                                      ("proxy", "server", "state"))  # fmt: skip
        self._active = registry.gauge("haproxy_backend_active_servers", "Servers that take requests.", ("proxy",))
        self._sessions = registry.gauge("haproxy_backend_current_sessions", "Requests being passed on.", ("proxy",))
        registry.before.append(self._refresh)
        frame.route("GET", "/servers", self.servers)
        frame.guarded("POST", "/servers", self.add)
        frame.guarded("POST", "/servers/*", self.switch)
        frame.tasks += [self.serve, self.check]

    def _refresh(self) -> None:
        for target in self.targets.values():
            for state in ("UP", "DOWN", "MAINT", "DRAIN"):
                self._status.set(1.0 if target.status == state else 0.0, PROXY, target.name, state)
        self._active.set(sum(target.status == "UP" for target in self.targets.values()), PROXY)
        self._sessions.set(sum(target.open for target in self.targets.values()), PROXY)

    async def serve(self) -> None:
        """Listen on the traffic port until cancelled."""
        server = Server(self.forward)
        await server.start(int(self._frame.settings.options["traffic_port"]))
        try:
            await asyncio.Event().wait()
        finally:
            await server.close()

    async def check(self) -> None:
        """Ask every server for /healthz."""
        while True:
            await asyncio.gather(*(self._check(target) for target in list(self.targets.values())))
            await asyncio.sleep(CHECK_SECONDS)

    async def _check(self, target: Target) -> None:
        try:
            response = await self._frame.client.call("GET", target.address, "/healthz", timeout_seconds=0.5)
            healthy = response.status == 200
        except CallFailed:
            healthy = False
        if healthy != target.healthy:
            self._frame.log.warning("server changed", server=target.name, healthy=healthy)
        target.healthy = healthy

    async def forward(self, request: Request) -> Response:
        """Pass one request on; 503 when no server is left."""
        start = asyncio.get_running_loop().time()
        response = problem(503, "no storefront is available")
        for _attempt in range(len(self.targets)):
            target = choose(list(self.targets.values()))
            if target is None:
                break
            target.open += 1
            try:
                response = await self._frame.client.call(
                    request.method, target.address, request.path, request.body, timeout_seconds=3.0
                )
                break
            except CallFailed as error:
                response = problem(504 if error.reason == "timeout" else 502, str(error))
                if error.reason != "refused":
                    break
                target.healthy = False
            finally:
                target.open -= 1
        self._answers.add(1, PROXY, f"{response.status // 100}xx")
        self._seconds.observe(asyncio.get_running_loop().time() - start, PROXY)
        return Response(response.status, response.body, response.content_type)

    async def servers(self, _request: Request) -> Response:
        """All servers with state, weight, status."""
        return answer({"items": [
            {"name": each.name, "address": each.address, "weight": each.weight, "state": each.state,
             "status": each.status, "open": each.open} for each in self.targets.values()
        ]})  # fmt: skip

    async def add(self, request: Request) -> Response:
        """{"name", "address"}: put a new server behind the balancer; the same again is harmless."""
        value = request.json()
        name, address = value.get("name"), value.get("address")
        if not isinstance(name, str) or not isinstance(address, str) or ":" not in address:
            return problem(422, "name and address (host:port) are needed")
        known = self.targets.get(name)
        if known is not None and known.address != address:
            return problem(409, f"{name} is already at {known.address}")
        self.targets.setdefault(name, Target(name, address))
        return await self.servers(request)

    async def switch(self, request: Request) -> Response:
        """{"state": ready|drain|maint} and/or {"weight": 0..256} for the server named in the path."""
        target = self.targets.get(request.path.rsplit("/", 1)[1])
        if target is None:
            return problem(404, "no such server")
        value = request.json()
        state, weight = value.get("state", target.state), value.get("weight", target.weight)
        if state not in ("ready", "drain", "maint") or not isinstance(weight, int) or not 0 <= weight <= 256:
            return problem(422, "state is ready, drain or maint; weight is 0 to 256")
        target.state, target.weight = state, weight
        return await self.servers(request)
