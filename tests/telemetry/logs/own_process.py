"""A log store in a process of its own, which a test kills: `write FOLDER FIRST` or `read FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from django.conf import settings

from tongchou.telemetry.logs.log_store import LogStore, Query
from tongchou.telemetry.store.embedded import Engine
from tongchou.telemetry.store.log_tables import NS, Cost
from tongchou.wire.log_stream import Entry, Stream

LINES = 100


def main(verb, folder, first="0"):
    settings.configure(USE_I18N=False)
    engine = Engine(Path(folder), read_threads=2)
    store = LogStore(engine, "logs", retention_days=3650, linger_seconds=0.0)
    now = store.clock_ns()
    if verb == "read":
        found = store.search(Query(0, now + NS), limit=5000, cost=Cost(), forward=True)
        assert not found.more
        print(json.dumps([line.body for line in found.lines]))
        store.close()
        engine.close()
        return
    batch = int(first)
    while True:
        entries = [Entry(store.clock_ns(), f"{batch}".encode()) for _line in range(LINES)]
        store.take([Stream([("service", "shop")], entries)])[1].result(60)
        print(batch, flush=True)
        batch += 1
        if batch - int(first) > 15:
            sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
