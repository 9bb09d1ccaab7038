from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter

from tests.telemetry.logs.own_process import LINES

PROGRAM = [sys.executable, "-m", "tests.telemetry.logs.own_process"]


def test_kill_9_loses_no_acknowledged_line(tmp_path):
    rng, acknowledged, first = random.Random(3), [], 0
    for _round in range(3):
        process = subprocess.Popen(
            [*PROGRAM, "write", str(tmp_path / "store"), str(first)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = [process.stdout.readline() for _batch in range(rng.randrange(1, 12))]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait(30)
        process.stdin.close()
        process.stdout.close()
        acknowledged += [int(line) for line in lines if line.endswith("\n")]
        first = acknowledged[-1] + 2  # the one that was on its way may be there, whole
    done = subprocess.run(
        [*PROGRAM, "read", str(tmp_path / "store")], capture_output=True, text=True, timeout=120, check=True
    )
    kept = Counter(int(body) for body in json.loads(done.stdout.splitlines()[-1]))
    assert len(acknowledged) > 3
    assert {batch: kept[batch] for batch in acknowledged} == dict.fromkeys(acknowledged, LINES)
    assert set(kept.values()) == {LINES}
