"""A small load balancer with HAProxy's switches and, for what the shop's rules use, HAProxy's metric names.

Used where HAProxy is not installed. Servers are checked every half second; a server that fails is passed over and the
request is tried on the next one when its connection was refused.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tongchou.demo.shop import runtime_api
from tongchou.demo.shop.frame import Frame
from tongchou.demo.shop.http1 import CallFailed, Handler, Request, Response, Server, problem
from tongchou.demo.shop.runtime_api import Target

CHECK_SECONDS = 0.5
CALL_SECONDS = 3.0
CLASSES = ("2xx", "3xx", "4xx", "5xx")


@dataclass(slots=True)
class Proxy:
    """A traffic port and the servers behind it. `repeatable`: a request cut off may be sent to another server."""

    name: str
    port: int
    targets: dict[str, Target] = field(default_factory=dict)
    repeatable: bool = False


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
    """Passes requests of its traffic ports on. Metrics are on the process's own port, switches on its Runtime API."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        options = frame.settings.options
        self.proxies = [self._proxy(name, int(port)) for name, port in options["traffic_ports"].items()]
        self._runtime_port = int(options["runtime_port"])
        registry = frame.registry
        self._answers = registry.counter("haproxy_backend_http_responses_total", "Answers by class.", ("proxy", "code"))
        for proxy in self.proxies:
            for code in CLASSES:
                self._answers.add(0, proxy.name, code)
        self._seconds = registry.histogram("balancer_request_duration_seconds", "Time to answer.", ("proxy",))
        self._status = registry.gauge("haproxy_server_status", "1 for the state a server has.",
                                      ("proxy", "server", "state"))  # fmt: skip
        self._active = registry.gauge("haproxy_backend_active_servers", "Servers that take requests.", ("proxy",))
        self._sessions = registry.gauge("haproxy_backend_current_sessions", "Requests being passed on.", ("proxy",))
        registry.before.append(self._refresh)
        frame.tasks += [self.serve, self.check, self.switches]

    def _proxy(self, name: str, port: int) -> Proxy:
        peers = self._frame.settings.peers[name]
        return Proxy(name, port, {each: Target(each, peers[each]) for each in peers}, repeatable=name == "payments")

    def _refresh(self) -> None:
        self._status.values.clear()  # a server that was removed is told no more
        for proxy in self.proxies:
            for target in proxy.targets.values():
                for state in ("UP", "DOWN", "MAINT", "DRAIN"):
                    self._status.set(1.0 if target.status == state else 0.0, proxy.name, target.name, state)
            self._active.set(sum(target.status == "UP" for target in proxy.targets.values()), proxy.name)
            self._sessions.set(sum(target.open for target in proxy.targets.values()), proxy.name)

    async def switches(self) -> None:
        """Answer the Runtime API until cancelled."""
        await runtime_api.serve(self._runtime_port, {proxy.name: proxy.targets for proxy in self.proxies})

    async def serve(self) -> None:
        """Listen on the traffic ports until cancelled."""
        servers = [Server(self._for(proxy)) for proxy in self.proxies]
        for server, proxy in zip(servers, self.proxies, strict=True):
            await server.start(proxy.port)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.gather(*(server.close() for server in servers))

    def _for(self, proxy: Proxy) -> Handler:
        async def handle(request: Request) -> Response:
            return await self.forward(proxy, request)

        return handle

    async def check(self) -> None:
        """Ask every server for /healthz."""
        while True:
            targets = [target for proxy in self.proxies for target in proxy.targets.values() if target.checked]
            await asyncio.gather(*(self._check(target) for target in targets))
            await asyncio.sleep(CHECK_SECONDS)

    async def _check(self, target: Target) -> None:
        try:
            response = await self._frame.client.call("GET", target.address, "/healthz", timeout_seconds=0.5)
            healthy = response.status == 200
        except CallFailed:
            healthy = False
        if healthy != target.healthy:
            self._frame.log.warning("server changed", server=target.name, healthy=healthy)
        target.healthy, target.verdict = healthy, "L7OK" if healthy else "L4CON"

    async def forward(self, proxy: Proxy, request: Request) -> Response:
        """Pass one request on; 503 when no server is left."""
        start = asyncio.get_running_loop().time()
        response = problem(503, f"no {proxy.name} is available")
        for _attempt in range(len(proxy.targets)):
            target = choose(list(proxy.targets.values()))
            if target is None:
                break
            target.open += 1
            try:
                response = await self._frame.client.call(
                    request.method, target.address, request.path, request.body, timeout_seconds=CALL_SECONDS
                )
                break
            except CallFailed as error:
                response = problem(504 if error.reason == "timeout" else 502, str(error))
                if error.reason == "refused":
                    target.healthy = not target.checked
                elif error.reason != "broken" or not proxy.repeatable:
                    break
            finally:
                target.open -= 1
        self._answers.add(1, proxy.name, f"{response.status // 100}xx")
        self._seconds.observe(asyncio.get_running_loop().time() - start, proxy.name)
        return Response(response.status, response.body, response.content_type)
