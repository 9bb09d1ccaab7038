"""kill -9 of a real worker in the middle of a release: each host gets its version once a run, and all is known."""

from __future__ import annotations

import os
import random
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.changes.release.conftest import Shop, fresh, pieces
from tests.runbooks.conftest import Request, reply
from tests.runbooks.test_kill import Worker, until
from tongchou.changes.models import Deployment
from tongchou.changes.models_release import Release
from tongchou.changes.release import machine
from tongchou.core.models import Event
from tongchou.core.refs import ref
from tongchou.runbooks.models import Run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]
ENDED = {*machine.ENDED, "paused"}  # nothing here may pause it: then it is no use to wait
HOSTS = [f"shop-{n}" for n in range(1, 6)]


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_a_release_whose_worker_is_killed_again_and_again_comes_to_its_end_once(
    rounds: int, shop: Shop, tmp_path: Path
) -> None:
    seed = int(os.environ.get("TONGCHOU_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"TONGCHOU_KILL_SEED={seed}")
    rng = random.Random(seed)
    metrics = tmp_path / "metrics.json"
    metrics.write_text("{}")

    def slow(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        time.sleep(0.15)  # so that a kill finds a step in the middle
        reply(handler, 200)

    shop.effects.answers = {f"/install/{host}/{version}": slow for host in HOSTS for version in ("1.0", "2.0")}
    with Worker(metrics, ("runbooks.wake", "changes.releases")) as worker:
        release = shop.started("1.0")
        kills = _kill_through(worker, release, rounds, rng)
        _check(shop, release, kills, "1.0")
        shop.effects.seen.clear()
        # the last host fails: everything goes back, through as many kills
        shop.effects.answers["/ready/shop-5"] = lambda handler, request: reply(
            handler, 500 if _installed(shop, "shop-5") == "2.0" else 200
        )
        release = shop.started("2.0")
        _kill_through(worker, release, rounds, rng)
    release = fresh(release)
    assert (release.state, release.outcome["code"], pieces(release)) == (
        "rolled_back",
        "run_failed",
        [["rolled_back"] * 3],
    )
    assert dict(shop.installed()) == dict.fromkeys(HOSTS, "1.0"), "something was not taken back"
    _once(release)
    told = Deployment.objects.order_by("started_at").values_list("version", "status", "rollback")
    assert list(told) == [("1.0", "succeeded", False), ("2.0", "failed", False), ("1.0", "succeeded", True)]


def _installed(shop: Shop, host: str) -> str:
    return dict(shop.installed()).get(host, "")


def _kill_through(worker: Worker, release: Release, most: int, rng: random.Random) -> int:
    """Kill the worker up to `most` times, then let the release end; return how often it was killed."""
    kills = 0
    while kills < most and fresh(release).state not in ENDED:
        worker.start()
        time.sleep(rng.uniform(0.1, 1.2))
        worker.kill()
        kills += 1
    worker.start()
    until(lambda: fresh(release).state in ENDED, seconds=180)
    worker.kill()
    return kills


def _check(shop: Shop, release: Release, kills: int, version: str) -> None:
    release = fresh(release)
    assert (release.state, pieces(release)) == ("succeeded", [["done"] * 3])
    installed = shop.installed()
    assert list(dict.fromkeys(installed)) == [(host, version) for host in HOSTS], "another order than the batches'"
    assert len(installed) <= len(HOSTS) + kills
    _once(release)


def _once(release: Release) -> None:
    """One run a batch and way, whatever was killed; every event of the way once."""
    runs = Run.objects.filter(about_ref=ref(release))
    wanted = sum(
        bool(batch.run_id) + bool(batch.rollback_run_id) for item in release.items.all() for batch in item.batches.all()
    )
    assert runs.count() == wanted
    mine = Event.objects.filter(subject=ref(release))
    assert mine.filter(verb="release.started").count() == 1
    assert mine.filter(verb=f"release.{release.state}").count() == 1
    began = mine.filter(verb="release.batch_began").values_list("payload__batch", flat=True)
    assert sorted(began) == sorted(set(began))
