"""Which processes are this platform: they join at start, send heartbeats, and are told apart by name.

A node joins only when it fits the ones that are alive: the same keys, and stores that several processes may share.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou import __version__
from tongchou.core import clock, jobs, modules
from tongchou.core.models import Lease
from tongchou.core.models_nodes import Node
from tongchou.core.problems import Conflict

BEAT_SECONDS = 3.0
ALONE_BEAT_SECONDS = 20.0  # nobody waits for the news of the only process
MISSED_BEATS = 4
SKEW_WARNING_SECONDS = 2.0
FORGET_AFTER = timedelta(days=7)
CLICKHOUSE, EMBEDDED = "clickhouse", "embedded"

log = logging.getLogger(__name__)

Figures = Callable[[], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a process says of itself. `keys`: name of a key -> its fingerprint."""

    name: str
    role: str
    store: str
    worker: str = ""
    address: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    instance: uuid.UUID = field(default_factory=uuid.uuid4)


@dataclass(frozen=True, slots=True)
class View:
    """A node as people see it. `other_version`: not that of the node that looks."""

    node: Node
    alive: bool
    duties: list[str]
    running_jobs: int
    skewed: bool
    other_version: bool

    @property
    def skew_text(self) -> str:
        """By how many seconds its clock is ahead of the database's, with the sign."""
        return f"{self.node.clock_skew_seconds:+.1f}"

    @property
    def state(self) -> str:
        """alive, stopped (it said so) or gone (it was not heard of any more)."""
        return "alive" if self.alive else "stopped" if self.node.left_at else "gone"


def own_name() -> str:
    """The name of this process among the nodes."""
    return str(settings.NODE_NAME)


def fingerprint(key: str) -> str:
    """What tells two keys apart and says nothing about them: half of an HMAC under the key itself."""
    return hmac.new(key.encode(), b"tongchou: which key is this", hashlib.sha256).hexdigest()[:32]


def is_alive(node: Node, now: datetime) -> bool:
    """Whether it was heard of within the time of four heartbeats."""
    return node.left_at is None and node.seen_at > now - timedelta(seconds=MISSED_BEATS * node.beat_seconds)


def join(me: Identity) -> int:
    """Take this node's row; returns how many jobs of the process that had the name before were put back.

    Raises Conflict when it may not run beside the nodes that are alive.
    """
    clock.correct(clock.measure())
    now = clock.now()
    Node.objects.filter(seen_at__lt=now - FORGET_AFTER).delete()
    before = Node.objects.filter(name=me.name).first()
    for other in Node.objects.exclude(name=me.name):
        if is_alive(other, now):
            _check_fits(me, other)
    found = {
        "instance": me.instance, "role": me.role, "version": __version__, "address": me.address, "worker": me.worker,
        "store": me.store, "started_at": now, "seen_at": now, "left_at": None, "keys": me.keys, "figures": {},
        "beat_seconds": BEAT_SECONDS if connection.vendor == "postgresql" else ALONE_BEAT_SECONDS,
    }  # fmt: skip
    Node.objects.update_or_create(name=me.name, defaults=found)
    return jobs.recover_workers([before.worker]) if before is not None and before.worker else 0


def _check_fits(me: Identity, other: Node) -> None:
    if me.store != CLICKHOUSE or other.store != CLICKHOUSE:
        raise Conflict(
            "node.not_shared",
            _("The node %(name)s runs on this database, and the embedded telemetry store is for one process.")
            % {"name": other.name},
            remedy=_("Stop it, or give every node TONGCHOU_DATABASE_URL and TONGCHOU_CLICKHOUSE_URL."),
        )
    wrong = sorted(name for name, value in me.keys.items() if other.keys.get(name, value) != value)
    if wrong:
        raise Conflict(
            "node.other_keys",
            _("The node %(name)s runs with other keys than this one: %(keys)s.")
            % {"name": other.name, "keys": ", ".join(wrong)},
            remedy=_(
                "Give every node the same TONGCHOU_SECRET_KEY, TONGCHOU_SECRETS_KEY_FILE and TONGCHOU_LEDGER_KEY_FILE: "
                "copy DATA/keys of the first node."
            ),
        )


def beat(me: Identity, figures: dict[str, float]) -> bool:
    """Say that this node is alive; False when another process has taken its name."""
    skew = clock.measure()
    clock.correct(skew)
    return bool(
        Node.objects.filter(name=me.name, instance=me.instance).update(
            seen_at=clock.now(), left_at=None, clock_skew_seconds=round(skew, 3), figures=figures
        )
    )


def leave(me: Identity) -> None:
    """Say that this node stops."""
    Node.objects.filter(name=me.name, instance=me.instance).update(left_at=clock.now())


def taking_jobs(*, alive: bool = True) -> list[str]:
    """Return the names of the nodes that do jobs, in order; with alive=False those of the last week. One query."""
    now = clock.now()
    found = Node.objects.exclude(worker="").order_by("name")
    return [node.name for node in found if not alive or is_alive(node, now)]


def dead_workers() -> list[str]:
    """Names of the workers of nodes that were not heard of any more."""
    now = clock.now()
    return [node.worker for node in Node.objects.exclude(worker="") if not is_alive(node, now)]


def listing() -> list[View]:
    """Every node of the last week, those that are alive first. Three queries."""
    now = clock.now()
    held: dict[str, list[str]] = {}
    for lease in Lease.objects.filter(name__startswith="duty:", until__gt=now).exclude(holder=""):
        held.setdefault(lease.holder, []).append(lease.name.removeprefix("duty:"))
    running = jobs.running_by_worker()
    views = [
        View(
            node=node,
            alive=is_alive(node, now),
            duties=sorted(held.get(node.worker, [])) if node.worker else [],
            running_jobs=running.get(node.worker, 0) if node.worker else 0,
            skewed=abs(node.clock_skew_seconds) > SKEW_WARNING_SECONDS,
            other_version=node.version != __version__,
        )
        for node in Node.objects.order_by("name")
    ]
    return sorted(views, key=lambda view: not view.alive)


class Heartbeat:
    """The thread that says "alive", measures the clock, and puts back the jobs of nodes that died.

    `replaced()` is called when another process took the name: this one must end.
    """

    def __init__(self, me: Identity, figures: Figures, replaced: Callable[[], None]) -> None:
        self._me, self._figures, self._replaced = me, figures, replaced
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin; the node has joined."""
        self._thread.start()

    def stop(self) -> None:
        """End, and say so."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)
        try:
            leave(self._me)
        except DatabaseError as error:
            log.warning("this node could not say that it stops: %s", error)

    def _run(self) -> None:
        seconds = BEAT_SECONDS if connection.vendor == "postgresql" else ALONE_BEAT_SECONDS
        warned = False
        while not self._stop.wait(seconds):
            try:
                if not beat(self._me, self._figures()):
                    log.error("another process has taken the node name %s; this one stops", self._me.name)
                    self._replaced()
                    break
                modules.refresh()
                if self._me.worker and (dead := dead_workers()):
                    jobs.recover_workers(dead)
            except DatabaseError as error:
                log.warning("heartbeat: the database does not answer: %s", error)
                connection.close()
                continue
            skew = (clock.now() - timezone.now()).total_seconds()
            if abs(skew) > SKEW_WARNING_SECONDS and not warned:
                log.warning("the clock of this node is %.1f s off the database's; run NTP on both", -skew)
                warned = True
        connection.close()
