"""The release tool's events: signed, delivered at least once, always under one delivery id."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from pathlib import Path

from tongchou.demo.shop.frame import Frame, Settings
from tongchou.demo.shop.http1 import Request, Response, Server, answer, problem
from tongchou.demo.shop.release import Release

TOKEN, SECRET = "control", "signing"


class Platform:
    """A deployment hook that refuses the first deliveries, and a supervisor that restarts everything."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.seen: list[Request] = []
        self.restarts: list[tuple[str, dict[str, object]]] = []

    async def handle(self, request: Request) -> Response:
        if request.path.startswith("/processes/"):
            self.restarts.append((request.path.split("/")[2], request.json()))
            return answer({})
        self.seen.append(request)
        return problem(503, "busy") if len(self.seen) <= self.refusals else answer({}, 202)


def settings(folder: Path, supervisor: str) -> Settings:
    peers = {"orders": {"orders-1": "127.0.0.1:1", "orders-2": "127.0.0.1:2"}}
    return Settings("release-tool-1", "release-tool", "instance", 0, "1.0.0", str(folder), TOKEN, supervisor, peers)


def post(path: str, body: object, key: str = "") -> Request:
    headers = {"authorization": f"Bearer {TOKEN}", **({"idempotency-key": key} if key else {})}
    return Request("POST", path, {}, headers, json.dumps(body).encode())


async def deploy(frame: Frame, platform: Platform, port: int) -> dict[str, object]:
    hook = {"url": f"http://127.0.0.1:{port}/hooks/deployments/shop", "secret": SECRET}
    assert (await frame.handle(post("/webhook", hook))).status == 200
    build = {"service": "orders", "version": "1.1.0", "switches": {"error_share": 0.4}}
    assert (await frame.handle(post("/builds", build))).status == 201
    response = await frame.handle(post("/deploy", {"service": "orders", "version": "1.1.0"}))
    assert response.status == 200
    done: dict[str, object] = response.json()
    return done


async def _story(folder: Path, platform: Platform, deliveries: int, restart: bool) -> Frame:
    server = Server(platform.handle)
    port = await server.start(0)
    frame = Frame(settings(folder, f"127.0.0.1:{port}"))
    release = Release(frame)
    if not restart:
        await deploy(frame, platform, port)
    else:
        hook = {"url": f"http://127.0.0.1:{port}/hooks/deployments/shop", "secret": SECRET}
        await frame.handle(post("/webhook", hook))
    task = asyncio.create_task(release.deliver())
    try:
        async with asyncio.timeout(20):
            while len(platform.seen) < deliveries:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
    finally:
        task.cancel()
        frame.close()
        await server.close()
    return frame


def test_a_refused_event_is_sent_again_under_the_same_delivery_id_until_it_is_accepted(tmp_path: Path) -> None:
    platform = Platform(refusals=2)
    asyncio.run(_story(tmp_path, platform, deliveries=3, restart=False))
    bodies = [json.loads(each.body) for each in platform.seen]
    assert len(platform.seen) == 3
    assert len({body["delivery_id"] for body in bodies}) == 1
    assert bodies[0]["service"] == "orders"
    assert (bodies[0]["previous_version"], bodies[0]["version"]) == ("1.0.0", "1.1.0")
    assert "switches" not in platform.seen[0].body.decode()


def test_an_event_that_was_not_accepted_survives_a_restart_of_the_tool(tmp_path: Path) -> None:
    deaf = Platform(refusals=100)
    asyncio.run(_story(tmp_path, deaf, deliveries=1, restart=False))
    hearing = Platform(refusals=0)
    asyncio.run(_story(tmp_path, hearing, deliveries=1, restart=True))
    ids = {json.loads(each.body)["delivery_id"] for each in (*deaf.seen, *hearing.seen)}
    assert len(ids) == 1


def test_every_delivery_is_signed_over_its_time_and_body(tmp_path: Path) -> None:
    platform = Platform(refusals=0)
    asyncio.run(_story(tmp_path, platform, deliveries=1, restart=False))
    request = platform.seen[0]
    timestamp = request.headers["x-tongchou-timestamp"]
    assert abs(int(timestamp) - time.time()) < 60
    expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-tongchou-signature"] == f"sha256={expected}"


def test_a_rollback_goes_back_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    async def story() -> list[object]:
        platform = Platform(refusals=0)
        server = Server(platform.handle)
        port = await server.start(0)
        frame = Frame(settings(tmp_path, f"127.0.0.1:{port}"))
        Release(frame)
        await deploy(frame, platform, port)
        answers = [
            await frame.handle(post("/rollback", {"service": "orders"}, key="run-1-step-2")),
            await frame.handle(post("/rollback", {"service": "orders"}, key="run-1-step-2")),
            await frame.handle(post("/rollback", {"service": "orders"})),
        ]
        unknown = await frame.handle(post("/rollback", {"service": "nothing"}))
        assert unknown.status == 409
        frame.close()
        await server.close()
        assert [(name, body["version"]) for name, body in platform.restarts] == [
            ("orders-1", "1.1.0"), ("orders-2", "1.1.0"), ("orders-1", "1.0.0"), ("orders-2", "1.0.0"),
        ]  # fmt: skip
        assert platform.restarts[0][1]["switches"] == {"error_share": 0.4}
        assert platform.restarts[2][1]["switches"] == {}
        return [each.json()["version"] for each in answers]

    assert asyncio.run(story()) == ["1.0.0", "1.0.0", "1.0.0"]
