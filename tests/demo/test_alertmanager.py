"""The plain Prometheus and Alertmanager beside a scenario: the same alert reaches their receiver, and its end."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tongchou.demo import history
from tongchou.demo.alertmanager import Beside, NotBeside, binaries
from tongchou.demo.rules import quick_rule_file


def _installed() -> bool:
    try:
        binaries()
    except NotBeside:
        return False
    return True


pytestmark = [
    pytest.mark.slice,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not _installed(), reason="Prometheus and Alertmanager are not installed"),
]


class Target(BaseHTTPRequestHandler):
    """One process of a shop, and the list of targets in which it stands."""

    full = True

    def do_GET(self) -> None:
        host, port = self.server.server_address[:2]
        labels = '{"service": "orders", "instance": "orders-1", "env": "demo", "job": "orders"}'
        body = f'[{{"targets": ["{host!s}:{port}"], "labels": {labels}}}]'
        if self.path == "/metrics":
            left = 0 if Target.full else 60e6
            body = f'node_filesystem_avail_bytes{{mountpoint="/x"}} {left}\nnode_filesystem_size_bytes{{mountpoint="/x"}} 64e6\n'
        self.send_response(200)
        self.send_header("Content-Type", "text/plain" if self.path == "/metrics" else "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def test_the_same_rules_reach_the_other_receiver_and_end_there(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    Target.full = True
    try:
        with Beside(tmp_path / "beside", group_interval_seconds=1, scrape_seconds=1) as beside:
            beside.start(f"http://127.0.0.1:{server.server_address[1]}/targets")
            plan = history.Plan(end=time.time(), day_seconds=600, noon=time.time(), visits_per_second=5, days=2)
            assert history.push(plan, beside.write_url, "") > 1000  # old samples are taken, series by series
            beside.alert({"shop": quick_rule_file(for_seconds=1)})
            deadline = time.monotonic() + 60
            while beside.inbox.counts()["firing"] < 1 and time.monotonic() < deadline:
                time.sleep(0.1)
            told = beside.inbox.notices[0]
            assert told["groupLabels"] == {"service": "orders"}
            assert told["alerts"][0]["labels"]["alertname"] == "FileSystemFilling"
            Target.full = False
            said: list[str] = []
            beside.wait_ended(60.0, said.append)
            assert said == []
            assert beside.inbox.counts()["resolved"] == 1
            with pytest.raises(NotBeside, match="refused the rules"):
                beside.alert({"shop": "groups: [{name: a, rules: [{alert: b, expr: '('}]}]"})
    finally:
        server.shutdown()
        server.server_close()
