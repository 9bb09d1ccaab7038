"""The embedded store under faults: killed processes, a full disk, a second process, queries that must be stopped."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.telemetry.store.own_process import SERIES
from tongchou.core.problems import Conflict, Invalid, Problem, Unavailable
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Matcher, labels_of
from tongchou.telemetry.store.embedded import Engine
from tongchou.telemetry.store.errors import problem_of
from tongchou.telemetry.store.tables import Tables, sid_condition

PROGRAM = [sys.executable, "-m", "tests.telemetry.store.own_process"]
ROUNDS = 3


def start(*arguments, prefix=()):
    return subprocess.Popen(
        [*prefix, *PROGRAM, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def run(*arguments):
    done = subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def kill_rounds(folder, rounds):
    rng = random.Random(rounds)
    acknowledged: list[int] = []
    for _round in range(rounds):
        process = start("write", folder, len(acknowledged))
        try:
            lines = [process.stdout.readline()]
            until = time.monotonic() + rng.uniform(0.1, 1.5)
            while time.monotonic() < until:
                lines.append(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
            process.wait(30)
            process.stdin.close()
            process.stdout.close()
        acknowledged += [int(line) for line in lines if line.endswith("\n")]
    return acknowledged


def check_nothing_lost(folder, rounds):
    acknowledged = kill_rounds(folder, rounds)
    assert len(acknowledged) > rounds
    found = run("read", folder)
    for batch in set(acknowledged):
        assert found["batches"][str(batch)] >= SERIES + 1, batch
    assert found["same"], "the window rebuilt at start differs from the store"


def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path):
    check_nothing_lost(tmp_path / "telemetry", ROUNDS)


@pytest.mark.soak
def test_twenty_killed_processes_lose_nothing_they_acknowledged(tmp_path):
    check_nothing_lost(tmp_path / "telemetry", 20)


def test_a_second_process_on_the_folder_is_refused_and_the_folder_is_free_after_a_kill(tmp_path):
    folder = tmp_path / "telemetry"
    first = start("hold", folder)
    assert first.stdout.readline() == "open\n"
    second = subprocess.run([*PROGRAM, "hold", str(folder)], capture_output=True, text=True, timeout=60, input="\n")
    assert second.returncode == 3
    assert "telemetry.folder_in_use" in second.stdout
    assert str(first.pid) in second.stdout
    first.kill()
    first.communicate()
    third = subprocess.run([*PROGRAM, "hold", str(folder)], capture_output=True, text=True, timeout=60, input="\n")
    assert (third.returncode, third.stdout) == (0, "open\n")


def test_a_second_engine_in_this_process_is_refused(telemetry_engine, tmp_path):
    with pytest.raises(Conflict, match="folder_in_use"):
        Engine(tmp_path / "another")


def _may_mount():
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"], capture_output=True, timeout=20
    )
    return tried.returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="needs a small tmpfs in a mount namespace, which this system refuses")
def test_a_full_disk_is_said_reading_goes_on_and_writing_recovers_by_itself(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    shell = f'mount -t tmpfs -o size=48m tmpfs {mount} && head -c 20000000 /dev/zero > {mount}/ballast && exec "$@"'
    process = start("fill", mount / "telemetry", prefix=["unshare", "-rm", "sh", "-c", shell, "sh"])
    try:
        full = json.loads(process.stdout.readline())
        assert full["problem"]["status"] == 507
        assert full["problem"]["remedy"]
        assert full["acknowledged"] >= 1
        readable = json.loads(process.stdout.readline())["readable"]
        assert readable >= full["acknowledged"] * 50_000
        # Make room from outside, in the mount namespace of the process; nobody touches the process itself.
        subprocess.run(
            ["nsenter", "-t", str(process.pid), "-U", "-m", "rm", f"{mount}/ballast"], check=True, timeout=20
        )
        process.stdin.write("\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["recovered"] >= 1
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


def test_a_query_over_its_time_is_stopped_and_the_thread_serves_the_next(telemetry_engine):
    began = time.monotonic()
    with pytest.raises(Unavailable, match="timeout"):
        telemetry_engine.fetch("SELECT sum(sipHash64(number)) AS s FROM numbers(100000000000)", timeout_seconds=0.3)
    assert time.monotonic() - began < 20
    for _again in range(4):
        assert telemetry_engine.fetch("SELECT 1 AS one").column("one")[0].as_py() == 1


def test_parts_that_were_merged_away_go_without_a_crowd_of_threads(telemetry_engine):
    tables = Tables(telemetry_engine, "test_few_threads", retention_days=3650)
    tables.create()
    try:
        quick = "old_parts_lifetime = 1, cleanup_delay_period = 1, max_cleanup_delay_period = 1"
        table = f"{tables.database}.series_days"
        telemetry_engine.execute(f"ALTER TABLE {table} MODIFY SETTING {quick}")
        for again in ("DETACH", "ATTACH"):  # the cleaner reads its period when it begins
            telemetry_engine.execute(f"{again} TABLE {table}")
        day, sid = np.array([20_000], np.int64), np.array([1], np.int64)
        for _part in range(130):  # from 100 on a pool would be asked
            tables.insert_days(day, sid)
        telemetry_engine.execute(f"OPTIMIZE TABLE {table} FINAL")
        gone = f"SELECT count() AS n FROM system.parts WHERE database = '{tables.database}' AND NOT active"
        before, deadline = len(list(Path("/proc/self/task").iterdir())), time.monotonic() + 60
        while telemetry_engine.fetch(gone).to_pylist() != [{"n": 0}] and time.monotonic() < deadline:
            time.sleep(0.2)
        assert telemetry_engine.fetch(gone).to_pylist() == [{"n": 0}]
        assert len(list(Path("/proc/self/task").iterdir())) <= before + 10
    finally:
        tables.drop()


def test_memory_of_great_queries_goes_back_and_queries_go_on(telemetry_engine):
    def mine():
        told = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in told if line.startswith("RssAnon"))

    great = "SELECT count() FROM (SELECT number, sum(number) FROM numbers(3000000) GROUP BY number)"
    for _turn in range(5):
        assert telemetry_engine.fetch(great).to_pylist() == [{"count()": 3000000}]
    before = mine()
    telemetry_engine.give_back()
    assert before - mine() > 50_000  # kB
    assert telemetry_engine.fetch("SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_a_query_over_its_memory_is_stopped(telemetry_engine):
    with pytest.raises(Invalid, match="limit_exceeded"):
        telemetry_engine.fetch("SELECT groupArray(number) AS all FROM numbers(50000000)", max_memory_bytes=50_000_000)


def test_no_answer_carries_leftovers_of_a_failed_query(telemetry_engine):
    for _again in range(4):
        with pytest.raises(Problem):
            telemetry_engine.fetch("SELECT number AS one FROM numbers(100000000000)", timeout_seconds=0.2)
        for _query in range(4):
            assert telemetry_engine.fetch("SELECT 7 AS one").column("one").to_pylist() == [7]


def test_small_queries_do_not_wait_behind_a_long_one(telemetry_engine):
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(
            telemetry_engine.fetch,
            "SELECT sum(sipHash64(number)) AS s FROM numbers(100000000000) ",
            timeout_seconds=3.0,
        )
        for _count in range(10):
            telemetry_engine.fetch("SELECT 1 AS one")
        assert not slow.done()
        with pytest.raises(Problem):
            slow.result()


def test_writers_and_readers_in_many_threads_see_their_own_writes(telemetry_db):
    def work(number):
        row = np.array([telemetry_db.row(labels_of({"__name__": "t", "n": str(number)}))])
        for step in range(15):
            now = telemetry_db.clock()
            telemetry_db.submit(row, np.array([now]), np.array([float(step)])).result(30)
            telemetry_db.window.start(now + 10**9)  # read the store, not memory
            block = telemetry_db.select([Matcher("n", "=", str(number))], now, now, limits=Limits())
            assert float(step) in block.v.tolist()
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(6)))


def test_an_unknown_error_keeps_its_text():
    assert "Code: 999" in str(problem_of("Code: 999. Something new").detail)


@pytest.mark.parametrize("name", ["", "a b", "A", "x;DROP", "1a", "a" * 70])
def test_a_database_name_is_a_plain_word(telemetry_engine, name):
    with pytest.raises(ValueError, match="database name"):
        Tables(telemetry_engine, name, retention_days=1)


def test_conditions_name_every_series_they_must():
    few = np.array([1, 5, (7 << 32) | 3], np.int64)
    assert sid_condition(few) == f"sid IN (1,5,{(7 << 32) | 3})"
    many = (np.arange(3000, dtype=np.int64) % 2 << 32) | np.arange(3000)
    assert sid_condition(many).count("BETWEEN") == 2
    assert sid_condition((np.arange(3000, dtype=np.int64) << 32) | 1) == "1"
    assert sid_condition(np.zeros(0, np.int64)) == "0"


def test_the_retention_is_set_and_may_be_changed(telemetry_db):
    def ttl():
        table = telemetry_db.engine.fetch(
            "SELECT create_table_query AS q FROM system.tables"
            f" WHERE database = '{telemetry_db.options.database}' AND name = 'samples'"
        )
        return str(table.column("q")[0].as_py())

    assert "toIntervalDay(3650)" in ttl()
    Tables(telemetry_db.engine, telemetry_db.options.database, retention_days=30).create()
    assert "toIntervalDay(30)" in ttl()
