"""How much room data takes, how fast it grows, how long disk and budget last; refusals before a disk is full."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger, settings_store
from tongchou.core.access import system
from tongchou.core.growth import DaysLeft, Growth, days_left, growth
from tongchou.core.models_backups import StorageReading
from tongchou.core.problems import Problem, StorageFull

HISTORY = timedelta(days=30)
RESERVE_KEY, BUDGET_KEY, WARN_KEY = "storage.reserve_mb", "storage.budget_mb", "storage.warn_days"
_LOOK_SECONDS = 1.0
_MOST_OF_DISK = 0.05  # the reserve is never more than this share: a small disk must not be refused at once


@dataclass(frozen=True, slots=True)
class Shelf:
    """One class of bytes and how to count them."""

    name: str
    title: str | Promise
    bytes: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Line:
    """One class as the page shows it; `growth` is None while it cannot be computed."""

    name: str
    title: str | Promise
    bytes: int
    growth: Growth | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything about room. `why_not`: why days are not computable, "" when they are."""

    lines: list[Line]
    total: int
    growth: Growth | None
    disk_free: int
    disk_total: int
    budget: int
    to_budget: DaysLeft | None
    to_full: DaysLeft | None
    why_not: str | Promise
    reserve: int
    warn: bool


_shelves: dict[str, Shelf] = {}


def register(name: str, title: str | Promise, count: Callable[[], int]) -> None:
    """Declare a class of bytes (in a room's keeping.py)."""
    _shelves[name] = Shelf(name, title, count)


def folder_bytes(folder: Path) -> int:
    """Return the bytes of the files below a folder; 0 when it is not there."""
    if not folder.is_dir():
        return 0
    total = 0
    for each in folder.rglob("*"):
        try:
            total += each.stat().st_size if each.is_file() else 0
        except OSError:
            continue  # it went while we looked
    return total


def database_bytes() -> int:
    """Return the size of the relational store."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    path = Path(str(connection.settings_dict["NAME"]))
    parts = [path.with_name(f"{path.name}{end}") for end in ("", "-wal")]
    return sum(part.stat().st_size for part in parts if part.exists())


register("database", _("relational store"), database_bytes)
register("files", _("attached files"), lambda: folder_bytes(Path(settings.FILES_PATH)))


def bytes_by_class() -> dict[str, int]:
    """Return bytes by class; one that cannot be counted now is left out."""
    found: dict[str, int] = {}
    for name in sorted(_shelves):
        try:
            found[name] = _shelves[name].bytes()
        except (Problem, OSError):
            continue
    return found


def measure() -> None:
    """Keep a reading of each class, and tell the ledger once a day while room runs short. Event storage.short."""
    now = timezone.now()
    found = bytes_by_class()
    StorageReading.objects.bulk_create([StorageReading(at=now, name=name, bytes=size) for name, size in found.items()])
    told = figures()
    if told.warn:
        soonest = min(each.expected for each in (told.to_budget, told.to_full) if each and each.expected is not None)
        with transaction.atomic():
            ledger.record(
                actor=system("storage"),
                verb="storage.short",
                subject="core.data:storage",
                payload={"days": round(soonest, 1), "total": told.total, "free": told.disk_free},
                dedupe_key=f"storage.short:{now:%Y-%m-%d}",
            )


def _readings() -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    rows = StorageReading.objects.filter(at__gte=timezone.now() - HISTORY).order_by("at")
    for name, at, size in rows.values_list("name", "at", "bytes"):
        found.setdefault(name, []).append((at.timestamp() / 86_400, float(size)))
    return found


def figures() -> Figures:
    """Return the state of now, with growth from the readings of the last 30 days. Two queries beside the counts."""
    sizes, readings = bytes_by_class(), _readings()
    lines = [Line(name, _shelves[name].title, size, growth(readings.get(name, []))) for name, size in sizes.items()]
    totals: dict[float, float] = {}
    for points in readings.values():
        for at, size in points:
            totals[at] = totals.get(at, 0.0) + size
    whole = growth(list(totals.items()))
    total, disk = sum(sizes.values()), shutil.disk_usage(settings.DATA)
    budget = int(settings_store.get(BUDGET_KEY)) * 1_000_000
    to_budget = days_left(budget - total, whole) if whole and budget else None
    to_full = days_left(disk.free - reserve_bytes(disk.total), whole) if whole else None
    limit = int(settings_store.get(WARN_KEY))
    warn = any(each.expected is not None and each.expected < limit for each in (to_budget, to_full) if each)
    why = (
        "" if whole else _("Not computable yet: at least six readings over two days are needed; one is taken an hour.")
    )
    return Figures(
        lines, total, whole, disk.free, disk.total, budget, to_budget, to_full, why, reserve_bytes(disk.total), warn
    )


def reserve_bytes(disk_total: int) -> int:
    """Return how much of a disk is kept free for the stores' own work."""
    return min(int(settings_store.get(RESERVE_KEY)) * 1_000_000, int(disk_total * _MOST_OF_DISK))


class _Room:
    """Whether the disk of a folder still takes data: looked at once a second at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked: dict[str, tuple[float, int]] = {}
        self._reserve: tuple[float, int] = (0.0, 0)

    def short(self, folder: Path) -> int:
        """Bytes that are missing to the reserve; 0 when there is room."""
        now, key = time.monotonic(), str(folder)
        with self._lock:
            at, missing = self._looked.get(key, (0.0, 0))
            if at and now - at < _LOOK_SECONDS:
                return missing
            self._looked[key] = (now, missing)
        there = folder if folder.exists() else folder.parent
        disk = shutil.disk_usage(there)
        missing = max(0, reserve_bytes(disk.total) - disk.free)
        with self._lock:
            self._looked[key] = (now, missing)
        return missing

    def known(self, folder: Path) -> int | None:
        """As `short`, from the last look, without a look; None when that is too long ago."""
        at, missing = self._looked.get(str(folder), (0.0, 0))
        return missing if at and time.monotonic() - at < _LOOK_SECONDS else None

    def forget(self) -> None:
        """Look anew the next time."""
        with self._lock:
            self._looked.clear()


room = _Room()


def check_room(folder: Path) -> None:
    """Refuse data in bulk before the disk is full. Raises StorageFull; what was accepted before stays."""
    missing = room.short(folder)
    if missing:
        raise StorageFull(
            "storage.reserve",
            _("The disk is nearly full: %(missing)d MB are missing to the reserve; new samples and lines are refused.")
            % {"missing": -(-missing // 1_000_000)},
            remedy=_("Free space, or shorten the retention (Administration, Storage); writing goes on by itself."),
        )
