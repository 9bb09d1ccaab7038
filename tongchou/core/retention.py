"""How long each class of data is kept, and how much of it: a register, settings with history, pruning in small steps.

A room registers its classes in `keeping.py`. Days come from the run-time setting `retention.<name>_days` (0: for good),
a size limit from `retention.<name>_mb` (0: none). Pruning is a periodic job that works at most `WORK_SECONDS` a turn in
batches of `BATCH` rows, each its own transaction, so nobody waits for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import Error as DatabaseBroken
from django.db import connection, models, transaction
from django.utils import timezone
from django.utils.functional import Promise, lazy
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger, settings_store
from tongchou.core.access import Actor, check, system
from tongchou.core.problems import NotFound, Problem

BATCH = 500
WORK_SECONDS = 5.0
MAX_DAYS = 3650
ACTOR = system("retention")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be deleted now, and how much of it is kept because something points at it. `bytes` is an estimate."""

    rows: int
    bytes: int
    held: int = 0


@dataclass(frozen=True, slots=True)
class DataClass:
    """One class of data.

    `size()` gives (rows, bytes); `older(before)` what would go; `prune(before, limit)` deletes at most about `limit`
    rows older than `before`, returns how many, and never touches what is held. `shrink(most_bytes)` deletes the oldest
    until the class is no larger and returns what it deleted in words ("" for nothing); None where size has no say.
    `days_setting` names a setting that exists already.
    """

    name: str
    title: str | Promise
    default_days: int
    size: Callable[[], tuple[int, int]]
    older: Callable[[datetime], Preview]
    prune: Callable[[datetime, int], int]
    shrink: Callable[[int], str] | None = None
    days_setting: str = ""
    note: str | Promise = field(default="")

    @property
    def days_key(self) -> str:
        """The setting that says how many days."""
        return self.days_setting or f"retention.{self.name}_days"

    @property
    def size_key(self) -> str:
        """The setting that says how many megabytes (1,000,000 bytes)."""
        return f"retention.{self.name}_mb"


Holder = Callable[[list[str]], set[str]]

_classes: dict[str, DataClass] = {}
_holders: dict[str, list[Holder]] = {}


def hold(name: str, holder: Holder) -> None:
    """Let a room above keep rows of a class: given their ids, the holder returns those that must stay."""
    _holders.setdefault(name, []).append(holder)


def held(name: str, ids: Iterable[object]) -> set[str]:
    """Return which of these rows something that is open still points at."""
    asked = [str(each) for each in ids]
    found: set[str] = set()
    for holder in _holders.get(name, []):
        found |= holder(asked)
    return found


def estimate(model: type[models.Model]) -> tuple[int, int]:
    """Return (rows, bytes) of a table; on SQLite the bytes are the mean of its newest 200 rows times the count."""
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608  # a model's own table
        rows = int(cursor.fetchone()[0])
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_total_relation_size(to_regclass(%s))", [model._meta.db_table])
            return rows, int(cursor.fetchone()[0] or 0)
        names = [connection.ops.quote_name(str(each.column)) for each in model._meta.concrete_fields]
        width = " + ".join(f"coalesce(length(CAST({name} AS BLOB)), 0)" for name in names)
        cursor.execute(f"SELECT avg({width}) FROM (SELECT * FROM {table} ORDER BY rowid DESC LIMIT 200)")  # noqa: S608  # its own columns
        return rows, int(rows * float(cursor.fetchone()[0] or 0))


def share(size: tuple[int, int], rows: int) -> int:
    """Return the bytes of some rows of a table whose (rows, bytes) are known."""
    return int(size[1] * rows / size[0]) if size[0] else 0


def _days(value: int) -> str | Promise | None:
    return None if 0 <= value <= MAX_DAYS else _("A number of days from 1 to 3650 is wanted; 0 keeps for good.")


def _megabytes(value: int) -> str | Promise | None:
    return None if 0 <= value <= 1_000_000_000 else _("A number of megabytes is wanted; 0 means no limit.")


def register(data_class: DataClass) -> None:
    """Declare a class with its settings."""
    _classes[data_class.name] = data_class
    if not data_class.days_setting:
        words = _("Days that %(what)s are kept; 0: for good.")
        settings_store.register(
            data_class.days_key, int, data_class.default_days, _named(words, data_class.title), validate=_days
        )
    if data_class.shrink is not None:
        words = _("The most megabytes that %(what)s may take; the oldest go first. 0: no limit.")
        settings_store.register(data_class.size_key, int, 0, _named(words, data_class.title), validate=_megabytes)


def _say(words: object, title: object) -> str:
    return str(words) % {"what": str(title)}


_named = lazy(_say, str)  # a sentence with a title in it, translated when it is shown


def classes() -> list[DataClass]:
    """Return the registered classes by name."""
    return [_classes[name] for name in sorted(_classes)]


def find(name: str) -> DataClass:
    """Return one class. Raises NotFound."""
    found = _classes.get(name)
    if found is None:
        raise NotFound(
            "retention.unknown",
            _("There is no class of data named %(name)s.") % {"name": name},
            field="name",
            value=name,
            remedy=_("GET /api/v1/storage lists them."),
        )
    return found


def before(data_class: DataClass, now: datetime) -> datetime | None:
    """Return the moment that what is older than may go (None: kept for good)."""
    days = int(settings_store.get(data_class.days_key, data_class.default_days))
    return now - timedelta(days=days) if days else None


def preview(data_class: DataClass, *, actor: Actor, days: int | None = None) -> tuple[datetime | None, Preview]:
    """Return what would be deleted now (or with other `days`) and deletes nothing."""
    check(actor, "storage.view")
    now = timezone.now()
    if days is not None and (wrong := _days(days)):
        raise NotFound("retention.days", wrong, field="days", value=days)
    moment = before(data_class, now) if days is None else (now - timedelta(days=days) if days else None)
    return moment, data_class.older(moment) if moment else Preview(0, 0)


def run(*, actor: Actor = ACTOR, work_seconds: float = WORK_SECONDS) -> dict[str, int]:
    """Delete what is past its time, in batches, until done or out of time. Event retention.pruned for each class.

    A class that fails is logged and does not hold up the others.
    """
    check(actor, "settings.edit")
    deadline = time.monotonic() + work_seconds
    done: dict[str, int] = {}
    for each in classes():
        try:
            count = _prune(each, deadline)
            words = _shrink(each)
            if count or words:
                with transaction.atomic():
                    payload = {"class": each.name, "rows": count, "shrunk": words}
                    subject = f"core.data:{each.name}"
                    ledger.record(actor=actor, verb="retention.pruned", subject=subject, payload=payload)
        except (Problem, DatabaseBroken) as problem:
            log.warning("retention of %s: %s", each.name, problem, exc_info=isinstance(problem, DatabaseBroken))
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()  # the others go on with one that works
            continue
        if count:
            done[each.name] = count
    return done


def _prune(each: DataClass, deadline: float) -> int:
    moment, count = before(each, timezone.now()), 0
    while moment is not None and time.monotonic() < deadline:
        gone = each.prune(moment, BATCH)
        count += gone
        if not gone:
            break
    return count


def _shrink(each: DataClass) -> str:
    most = int(settings_store.get(each.size_key, 0)) if each.shrink is not None else 0
    return each.shrink(most * 1_000_000) if each.shrink is not None and most else ""
