from __future__ import annotations

import asyncio
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tongchou.demo import log_pusher
from tongchou.demo.log_pusher import LogPusher


@pytest.fixture
def logs(tmp_path):
    def write(name, *texts, mode="a"):
        with (tmp_path / name).open(mode) as file:
            for text in texts:
                file.write(
                    json.dumps(
                        {
                            "ts": "2026-01-01T00:00:00.001+00:00",
                            "service": "orders",
                            "instance": "orders-1",
                            "msg": text,
                        }
                    )
                    + "\n"
                )

    return write


def bodies(found):
    return [json.loads(value[1])["msg"] for stream in json.loads(found[0])["streams"] for value in stream["values"]]


def test_whole_lines_are_read_once_over_a_rotation(tmp_path, logs):
    logs("orders-1.jsonl", "of an earlier run")
    pusher = LogPusher(tmp_path)
    logs("orders-1.jsonl", "a", "b")
    with (tmp_path / "orders-1.jsonl").open("a") as file:
        file.write('{"msg": "half')
    pusher.read()
    pusher.read()
    with (tmp_path / "orders-1.jsonl").open("a") as file:
        file.write(' of it"}\n')
    (tmp_path / "orders-1.jsonl").rename(tmp_path / "orders-1.1.jsonl")
    logs("orders-1.jsonl", "after")
    pusher.read()
    found = pusher.batch()
    assert sorted(bodies(found)) == ["a", "after", "b", "half of it"]
    stream = json.loads(found[0])["streams"][0]
    assert stream["stream"] == {"service": "orders", "instance": "orders-1", "job": "shop"}
    times = [int(value[0]) for value in stream["values"]]
    assert times == sorted(set(times))


def test_the_oldest_are_dropped_and_counted_while_the_platform_is_away(tmp_path, logs, monkeypatch):
    monkeypatch.setattr(log_pusher, "HELD", 10)
    pusher = LogPusher(tmp_path)
    logs("orders-1.jsonl", *map(str, range(25)))
    pusher.read()
    assert (pusher.held, pusher.dropped) == (10, 15)
    assert bodies(pusher.batch()) == [str(i) for i in range(15, 25)]


def test_a_batch_is_sent_again_byte_for_byte_until_it_is_taken(tmp_path, logs):
    seen, answers = [], [503, 500, 204]

    class Platform(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(
                (self.path, self.headers["Authorization"], self.rfile.read(int(self.headers["Content-Length"])))
            )
            self.send_response(answers[len(seen) - 1])
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    pusher = LogPusher(tmp_path)
    logs("orders-1.jsonl", "a", "b")
    with ThreadingHTTPServer(("127.0.0.1", 0), Platform) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        pusher.connect({"url": f"http://127.0.0.1:{server.server_port}", "token": "tc_x"})

        async def until_sent():
            task = asyncio.create_task(pusher.run())
            while pusher.sent < 2:
                await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(asyncio.wait_for(until_sent(), 30))
        server.shutdown()
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert seen[0][:2] == ("/loki/api/v1/push", "Bearer tc_x")
    assert (pusher.held, pusher.dropped, pusher.batch()) == (0, 0, None)
