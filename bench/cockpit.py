"""The cockpit in headless Chromium, cold, with the demo shop behind it; and what the server keeps in memory."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import Browser, sync_playwright

PASSWORD = "bench password 8420"
RUNS = 5
WARM_SECONDS = 30
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
READY = """() => { const all = [...document.querySelectorAll('[data-chart]')].filter((e) => e.getBoundingClientRect().top < innerHeight);
return all.length > 0 && all.every((e) => e.dataset.ready); }"""


def main() -> int:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed: not measured")
        return 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
        environment = {
            **os.environ,
            "TONGCHOU_DATA": f"{folder}/data",
            "TONGCHOU_PORT": str(port),
            "TONGCHOU_ADMIN_PASSWORD": PASSWORD,
        }
        log = Path(folder) / "demo.log"
        started = time.monotonic()
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tongchou.cli.main", "demo"],
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            while "Ready" not in log.read_text(errors="replace"):
                if process.poll() is not None or time.monotonic() - started > 120:
                    print(log.read_text()[-3000:])
                    return 1
                time.sleep(0.2)
            print(f"{'make demo, from start to ready':<44} {time.monotonic() - started:6.1f} s")
            time.sleep(WARM_SECONDS)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
                look(browser, f"http://127.0.0.1:{port}")
                browser.close()
            server = next(
                each for each in psutil.Process(process.pid).children(recursive=True) if "serve" in each.cmdline()
            )
            print(f"{'server resident memory with the shop':<44} {server.memory_info().rss / 1e6:6.0f} MB")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
    return 0


def look(browser: Browser, url: str) -> None:
    """Sign in once; then load the cockpit with an empty cache, RUNS times."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    page.goto(f"{url}/accounts/login/")
    page.fill("input[name=login]", "admin")
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda where: "login" not in where)
    state = context.storage_state()
    context.close()
    ready, first, sizes = [], [], []
    for _ in range(RUNS):
        context = browser.new_context(viewport={"width": 1600, "height": 1000}, storage_state=state)
        page = context.new_page()
        size = 0

        def count(response: object) -> None:
            nonlocal size
            size += int(response.headers.get("content-length", 0))  # type: ignore[attr-defined]  # a Playwright response

        page.on("response", count)
        start = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_selector("main")
        first.append((time.perf_counter() - start) * 1000)
        page.wait_for_function(READY, timeout=30_000)
        ready.append((time.perf_counter() - start) * 1000)
        sizes.append(size)
        context.close()
    print(f"{'cockpit: page there, cold (median of 5)':<44} {statistics.median(first):6.0f} ms")
    print(f"{'cockpit: every visible chart drawn, cold':<44} {statistics.median(ready):6.0f} ms")
    print(f"{'cockpit: bytes sent, as content-length says':<44} {statistics.median(sizes) / 1e3:6.0f} KB")


if __name__ == "__main__":
    sys.exit(main())
