"""A plain Prometheus and Alertmanager beside the platform: same targets, same rules, same grouping, another receiver.

What they send is what the platform's notices are compared with. Grouping and intervals are the platform's; nothing is
silenced or inhibited on either side. Debian's binaries, on ports and in a folder of their own.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import yaml

from tongchou.demo.inbox import Inbox
from tongchou.demo.ports import free_ports
from tongchou.demo.processes import end, spawn

READY_SECONDS = 60.0
GROUP_BY = ("service",)  # the platform's setting alerting.group_by as shipped


class NotBeside(Exception):
    """Prometheus or Alertmanager is not installed, or did not start."""


def binaries() -> tuple[str, str]:
    """Paths of Prometheus and Alertmanager. Raises NotBeside."""
    found = []
    for names in (("prometheus",), ("prometheus-alertmanager", "alertmanager")):
        path = next((each for each in map(shutil.which, names) if each), None)
        if path is None:
            raise NotBeside(f"{names[0]} is not installed")
        found.append(path)
    return found[0], found[1]


class Beside:
    """Both, running while this is used as a context manager. Raises NotBeside."""

    def __init__(self, folder: Path, *, group_interval_seconds: int, scrape_seconds: float) -> None:
        self._folder = folder
        self._group_interval, self._scrape = group_interval_seconds, scrape_seconds
        self._ports = free_ports(2)
        self._binaries = binaries()
        self._running: list[subprocess.Popen[bytes]] = []
        self.inbox = Inbox()

    @property
    def write_url(self) -> str:
        """Prometheus's remote_write receiver, for the replayed history."""
        return f"http://127.0.0.1:{self._ports[0]}/api/v1/write"

    def __enter__(self) -> Beside:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "rules").mkdir(exist_ok=True)
        self.inbox.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._running:
            end(process)
        self.inbox.__exit__(*exception)

    def start(self, targets_url: str) -> None:
        """Start both and wait until they answer."""
        prometheus, alertmanager = self._ports
        (self._folder / "alertmanager.yml").write_text(yaml.safe_dump(self._routes()))
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(self._config(targets_url)))
        self._spawn(
            self._binaries[1], alertmanager, f"--config.file={self._folder}/alertmanager.yml",
            f"--storage.path={self._folder}/alertmanager", "--cluster.listen-address=",
        )  # fmt: skip
        self._spawn(
            self._binaries[0], prometheus, f"--config.file={self._folder}/prometheus.yml",
            f"--storage.tsdb.path={self._folder}/tsdb", "--web.enable-lifecycle", "--web.enable-remote-write-receiver",
        )  # fmt: skip
        for port in self._ports:
            self._wait(f"http://127.0.0.1:{port}/-/ready")

    def _spawn(self, binary: str, port: int, *options: str) -> None:
        command = [binary, f"--web.listen-address=127.0.0.1:{port}", *options]
        self._running.append(spawn(command, self._folder / f"{Path(binary).name}.out"))

    def _wait(self, url: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            while time.monotonic() < deadline:
                try:
                    if client.get(url).status_code == 200:
                        return
                except httpx.HTTPError:
                    time.sleep(0.1)
        raise NotBeside(f"{url} did not answer; see {self._folder}")

    def _routes(self) -> dict[str, object]:
        """The platform tells a group at once when it opens, then at most once an interval."""
        route = {
            "receiver": "people", "group_by": list(GROUP_BY), "group_wait": "0s",
            "group_interval": f"{self._group_interval}s", "repeat_interval": "4h",
        }  # fmt: skip
        hook = {"url": self.inbox.url, "send_resolved": True}
        return {"route": route, "receivers": [{"name": "people", "webhook_configs": [hook]}]}

    def _config(self, targets_url: str) -> dict[str, object]:
        every = f"{self._scrape:g}s"
        return {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "storage": {"tsdb": {"out_of_order_time_window": "6h"}},  # the history arrives series by series
            "rule_files": [str(self._folder / "rules" / "*.yml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{self._ports[1]}"]}]}]},
            "scrape_configs": [
                {"job_name": "shop", "http_sd_configs": [{"url": targets_url, "refresh_interval": "5s"}]}
            ],
        }

    def alert(self, rule_files: Mapping[str, str]) -> None:
        """Put these rule files (name -> text) in force. Raises NotBeside when Prometheus refuses them."""
        for name, text in rule_files.items():
            (self._folder / "rules" / f"{name}.yml").write_text(text)
        answer = httpx.post(f"http://127.0.0.1:{self._ports[0]}/-/reload", trust_env=False, timeout=30.0)
        if answer.status_code != 200:
            raise NotBeside(f"Prometheus refused the rules: {answer.text[:500]}")

    def wait_ended(self, seconds: float, say: Callable[[str], None]) -> None:
        """Wait until every group that was told has been told to be over; say which was not."""
        deadline = time.monotonic() + seconds
        while self.inbox.unended() and time.monotonic() < deadline:
            time.sleep(0.25)
        if left := self.inbox.unended():
            say(f"not told to be over: {', '.join(left)}")
