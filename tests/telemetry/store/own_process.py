"""A telemetry store in a process of its own, which tests may kill: `python -m tests.telemetry.store.own_process`.

`write FOLDER FIRST`: append batch after batch; prints the number of each batch once it is acknowledged.
`read FOLDER`: print how many samples every batch has, as JSON.
`fill FOLDER`: append until the disk is full, show that reading works, wait for a line on stdin, append again.
`hold FOLDER`: open, print "open", wait for a line on stdin.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import django
import numpy as np

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tongchou.settings")
django.setup()  # the store numbers series beside models, which need it

from tongchou.core.problems import Problem, StorageFull  # noqa: E402  # after setup
from tongchou.telemetry.backend import Options, Telemetry  # noqa: E402  # after setup
from tongchou.telemetry.ports import Limits  # noqa: E402  # after setup
from tongchou.telemetry.series import Matcher, labels_of  # noqa: E402  # after setup
from tongchou.telemetry.store.embedded import Engine  # noqa: E402  # after setup

SERIES = 200
TEN_MINUTES_MS = 600_000
EVERY = [Matcher("__name__", "=", "m")]


def open_store(folder):
    engine = Engine(Path(folder), read_threads=2)
    return engine, Telemetry(engine, Options(retention_days=3650, flush_seconds=0.05))


def rows_of(telemetry, batch):
    # one new series a batch, so that series and days are written all the time too
    labels = [labels_of({"__name__": "m", "i": str(i)}) for i in range(SERIES)]
    labels.append(labels_of({"__name__": "m", "batch": str(batch)}))
    return np.array([telemetry.row(each) for each in labels], np.int64)


def append(telemetry, batch, values=None):
    rows = rows_of(telemetry, batch)
    # One time a batch, the same in whichever process it is written: of two values at one time only one would count,
    # and a process writes more batches than a millisecond has room for.
    ts = np.full(len(rows), telemetry.clock() // TEN_MINUTES_MS * TEN_MINUTES_MS - TEN_MINUTES_MS + batch, np.int64)
    v = np.full(len(rows), float(batch)) if values is None else values
    telemetry.submit(rows, ts, v).result(60)


def write(folder, first):
    _engine, telemetry = open_store(folder)
    batch = int(first)
    while True:
        append(telemetry, batch)
        print(batch, flush=True)
        batch += 1


def counts(telemetry, from_ms):
    now = telemetry.clock()
    block = telemetry.select(EVERY, from_ms, now + 60_000, limits=Limits())
    batches, sizes = np.unique(block.v, return_counts=True)
    return {str(int(batch)): int(size) for batch, size in zip(batches, sizes, strict=True)}


def read(folder):
    engine, telemetry = open_store(folder)
    day = 86_400_000
    now = telemetry.clock()
    telemetry.window.start(now + day)  # read what is on disk, not what was rebuilt from it
    stored = counts(telemetry, now - day)
    checked = engine.fetch(f"SELECT count() AS n FROM {telemetry.options.database}.samples").column("n")[0].as_py()
    telemetry.close()
    again = Telemetry(engine, telemetry.options)
    print(json.dumps({"batches": stored, "rows": checked, "same": counts(again, now - day // 48) == stored}))
    again.close()
    engine.close()


def fill(folder):
    engine, telemetry = open_store(folder)
    rng = np.random.default_rng(1)
    acknowledged = 0
    ts = telemetry.clock() - np.arange(50_000) // SERIES  # once: a batch that took a second would meet the one before
    try:
        while True:
            rows = np.array([telemetry.row(labels_of({"__name__": "m", "i": str(i)})) for i in range(SERIES)])
            telemetry.submit(np.resize(rows, 50_000), ts - acknowledged * 1000, rng.random(50_000)).result(60)
            acknowledged += 1
    except StorageFull as problem:
        print(json.dumps({"acknowledged": acknowledged, "problem": problem.as_dict()}), flush=True)
    now = telemetry.clock()
    block = telemetry.select(EVERY, now - 86_400_000, now, limits=Limits())
    print(json.dumps({"readable": block.sample_count}), flush=True)
    sys.stdin.readline()
    append(telemetry, -1)
    print(json.dumps({"recovered": telemetry.ingest.counts.failed_inserts}), flush=True)
    telemetry.close()
    engine.close()


def hold(folder):
    try:
        engine, telemetry = open_store(folder)
    except Problem as problem:
        print(problem.code, str(problem.detail), flush=True)
        sys.exit(3)
    print("open", flush=True)
    sys.stdin.readline()
    telemetry.close()
    engine.close()


if __name__ == "__main__":
    {"write": write, "read": read, "fill": fill, "hold": hold}[sys.argv[1]](*sys.argv[2:])
