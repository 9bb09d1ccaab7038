"""Ten times the demo's load for hours: memory, threads and files stay flat, and nothing acknowledged is lost.

TONGCHOU_SOAK_MINUTES says how long (120), TONGCHOU_SOAK_FOLDER where samples.csv and result.txt are left.
"""

from __future__ import annotations

import csv
import os
import re
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.alerting.receiver import Receiver, receiving
from tests.served import Served
from tests.slices.soak_load import COLUMNS, EVERY_SECONDS, HOSTS, LINES, RULES, SERIES, Load, sample

MINUTES = float(os.environ.get("TONGCHOU_SOAK_MINUTES", "120"))
WARM_MINUTES = min(20.0, MINUTES / 3)
SAMPLE_SECONDS = 30.0 if MINUTES >= 10 else 5.0
PASSWORD = "a long soak password 8420"
# Memory it asked for (anon) without the telemetry window and the half hours read from the store (stated caches with caps of
# their own, which fill for hours) may rise by so much: what an allocator scatters once, and what is not a leak in a month of the 2 GB a host of the platform has.
MB_ONCE, MB_AN_HOUR = 24.0, 20.0
# Pools grow when much comes at once, and stay: 16 request threads, five sessions of the store with two threads each. A leak
# of streams is 900 an hour.
MORE_THREADS, MORE_FILES, MOST_QUEUED = 26, 24, 50
BROKEN_SHARE = 0.001  # of all requests: a sender that waits too long on a host that does other things
LEAST_SHARE, LEAST_ASKED = 0.9, 1.0  # of what is sent; pages and reads a second
WINDOW_SECONDS = "600"
FULL = HOSTS * SERIES / EVERY_SECONDS

pytestmark = pytest.mark.soak
Rows = list[dict[str, float]]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path / "data", TONGCHOU_ADMIN_PASSWORD=PASSWORD, TONGCHOU_TELEMETRY_WINDOW_SECONDS=WINDOW_SECONDS)
    one.start_seconds = 600  # a host that does other things, too
    try:
        yield one.start()
    finally:
        end(one)


def end(one: Served) -> None:
    if one.process is not None and one.process.poll() is None:
        one.stop()


def slope(rows: Rows, name: str) -> float:
    """By least squares, an hour."""
    hours = [row["minutes"] / 60 for row in rows]
    return statistics.linear_regression(hours, [row[name] for row in rows]).slope


def grown(rows: Rows, name: str) -> float:
    """The median of the last third less that of the first third."""
    third = max(1, len(rows) // 3)
    return statistics.median(row[name] for row in rows[-third:]) - statistics.median(row[name] for row in rows[:third])


def drive(load: Load, folder: Path) -> Rows:
    rows: Rows = []
    since = time.monotonic()
    with (folder / "samples.csv").open("w", newline="") as out, load.served.client() as client:
        table = csv.DictWriter(out, COLUMNS)
        table.writeheader()
        while (time.monotonic() - since) / 60 < MINUTES:
            time.sleep(SAMPLE_SECONDS)
            rows.append(sample(load, since, client))
            table.writerow({name: round(value, 2) for name, value in rows[-1].items()})
            out.flush()
    return rows


def samples_there(client: httpx.Client, host: str, seconds: float) -> int:
    query = f'sum(count_over_time(soak_value{{host="{host}"}}[{int(seconds)}s]))'
    answer = client.get("/prometheus/api/v1/query", params={"query": query}, timeout=120)
    answer.raise_for_status()
    found = answer.json()["data"]["result"]
    return int(float(found[0]["value"][1])) if found else 0


def lines_there(client: httpx.Client, begun: datetime) -> int:
    span = {"start": begun.isoformat(), "end": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}
    answer = client.get("/api/v1/logs/histogram", params={"query": "service:soak", **span}, timeout=120)
    answer.raise_for_status()
    return int(answer.json()["total"])


def lost(load: Load, begun: datetime) -> list[str]:
    """What was acknowledged and is not there, and what is there and was never sent."""
    wrong = []
    with load.served.client() as client:
        seconds = (datetime.now(UTC) - begun).total_seconds() + 60
        there = {f"host-{each:02d}": samples_there(client, f"host-{each:02d}", seconds) for each in range(HOSTS)}
        there["lines"] = lines_there(client, begun)
    for name, count in there.items():
        least, most = load.acknowledged[name], load.acknowledged[name] + load.unknown[name]
        if not least <= count <= most:
            wrong.append(f"{name}: {least} acknowledged, {load.unknown[name]} unanswered, {count} there")
    return wrong


def judged(rows: Rows, load: Load, receiver: Receiver) -> dict[str, bool]:
    """Every promise, and whether it was kept."""
    for row in rows:
        row["own_mb"] = row["anon_mb"] - row["window_mb"] - row["cache_mb"]
    warm = [row for row in rows if row["minutes"] > WARM_MINUTES]
    hours = (warm[-1]["minutes"] - warm[0]["minutes"]) / 60
    bound = MB_AN_HOUR + MB_ONCE / hours
    rate = rows[-1]["samples"] / (rows[-1]["minutes"] * 60)
    lines = rows[-1]["lines"] / (rows[-1]["minutes"] * 60)
    asked = load.requests.total()
    found = {
        f"memory rises by {slope(warm, 'own_mb'):.1f} MB an hour (bound {bound:.1f})": slope(warm, "own_mb") <= bound,
        f"threads grew by {grown(warm, 'threads'):.0f}": grown(warm, "threads") <= MORE_THREADS,
        f"open files grew by {grown(warm, 'fds'):.0f}": grown(warm, "fds") <= MORE_FILES,
        f"{rows[-1]['jobs_queued']:.0f} jobs are queued": rows[-1]["jobs_queued"] <= MOST_QUEUED,
        f"{rows[-1]['jobs_dead']:.0f} jobs are dead": rows[-1]["jobs_dead"] == 0,
        f"{len(load.refused)} requests refused: {load.refused[:3]}": not load.refused,
        f"{len(load.broken)} of {asked} requests without an answer: {load.broken[:3]}": (
            len(load.broken) <= BROKEN_SHARE * asked
        ),
        f"{len(receiver.got)} notices received": len(receiver.got) > 0,
        f"{rate:.0f} samples a second were taken (of {FULL:.0f} sent)": rate >= LEAST_SHARE * FULL,
        f"{lines:.1f} lines a second were taken (of {LINES} sent)": lines >= LEAST_SHARE * LINES,
        f"told to come again: {dict(load.busy)}": load.busy.total() <= BROKEN_SHARE * asked,
    }
    for kind in ("page", "read"):
        each = load.requests[kind] / (rows[-1]["minutes"] * 60)
        found[f"{each:.1f} requests a second ({kind})"] = each >= LEAST_ASKED
    return found


@pytest.mark.timeout(MINUTES * 60 + 900)
def test_ten_times_the_demo_for_hours(served: Served, tmp_path: Path) -> None:
    folder = Path(os.environ.get("TONGCHOU_SOAK_FOLDER") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    load, begun = Load(served, PASSWORD), datetime.now(UTC)
    with receiving() as receiver:
        with served.client() as client:
            channel = {"name": "soak", "kind": "webhook", "settings": {"url": receiver.url}}
            client.post("/api/v1/channels", json=channel).raise_for_status()
            rules = client.put("/api/v1/rule-files/soak", content=RULES, headers={"Content-Type": "application/yaml"})
            rules.raise_for_status()
        load.start()
        rows = drive(load, folder)
        wrong = [f"a part of the load ended early: {name}" for name in load.stop()]
        promises = judged(rows, load, receiver)
        wrong += [each for each, kept in promises.items() if not kept] + lost(load, begun)
    errors = [each for each in served.log.read_text().splitlines() if re.search(r" (ERROR|CRITICAL) |Traceback", each)]
    wrong += [f"in its log: {each}" for each in errors[:20]]
    sent = f"{rows[-1]['samples']:,.0f} samples and {rows[-1]['lines']:,.0f} lines in {rows[-1]['minutes']:.0f} minutes"
    result = [sent, *promises, *(f"BROKEN: {each}" for each in wrong), "broken" if wrong else "every promise kept"]
    (folder / "result.txt").write_text("\n".join(result) + "\n")
    print(f"{sent}; {folder / 'samples.csv'}")
    assert wrong == []
