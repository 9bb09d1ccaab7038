from __future__ import annotations

import random
import subprocess
import sys
import time

PROGRAM = [sys.executable, "-m", "tests.telemetry.rolling_process"]
ROUNDS = 4


def test_a_process_killed_while_it_rolls_leaves_rollups_that_equal_the_samples(tmp_path):
    rng = random.Random(3)
    for _round in range(ROUNDS):
        with subprocess.Popen([*PROGRAM, "roll", str(tmp_path / "t")], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0.0, 0.6))
            process.kill()
    done = subprocess.run([*PROGRAM, "check", str(tmp_path / "t")], capture_output=True, text=True, timeout=120)
    assert done.stdout == "same\n", done.stderr
