"""A telemetry store in a process of its own, killed while it rolls: `python -m tests.telemetry.rolling_process`.

`roll FOLDER`: write 30 hours of samples, print "ready", roll all of them again and again.
`check FOLDER`: roll what is due, print "same" when long ranges over rollups equal those over samples.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
import numpy as np

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tongchou.settings")
django.setup()  # the store numbers series beside models, which need it

from tests.telemetry.test_rollups import Raw, answers, same  # noqa: E402  # after setup
from tongchou.telemetry.backend import Options, Telemetry  # noqa: E402  # after setup
from tongchou.telemetry.buckets import FIVE_MINUTES_MS, HOUR_MS  # noqa: E402  # after setup
from tongchou.telemetry.series import labels_of  # noqa: E402  # after setup
from tongchou.telemetry.store.embedded import Engine  # noqa: E402  # after setup

SERIES, HOURS = 100, 30


def main(verb, folder):
    telemetry = Telemetry(Engine(Path(folder), read_threads=2), Options(retention_days=3650, flush_seconds=0.05))
    telemetry.rollups.lag_seconds = 0.0
    end = (telemetry.clock() // HOUR_MS - 1) * HOUR_MS
    if verb == "roll":
        ts = np.arange(end - HOURS * HOUR_MS + 60_000, end + 1, 60_000)
        for number in range(SERIES):
            row = telemetry.row(labels_of({"__name__": "m_total", "i": str(number)}))
            telemetry.submit(np.full(len(ts), row), ts, np.arange(len(ts)) * float(number) % 977).result(60)
        telemetry.flush()
        print("ready", flush=True)
        while True:
            telemetry.rollups.roll_due()
            telemetry.rollups.tables.touch(np.arange(end // HOUR_MS - HOURS + 1, end // HOUR_MS + 1))
    while telemetry.rollups.roll_due():
        pass
    end = int(telemetry.rollups.tables.done().max()) * HOUR_MS
    for query, step in (("increase(m_total[1h])", HOUR_MS), ("max_over_time(m_total[5m])", FIVE_MINUTES_MS)):
        span = (end - 26 * HOUR_MS, end, step)
        got, result = answers(telemetry, query, *span)
        assert result.infos[0].startswith("resolution"), result.infos
        assert len(got) == SERIES
        same(got, answers(Raw(telemetry), query, *span)[0])
    print("same", flush=True)
    telemetry.close()
    telemetry.engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
