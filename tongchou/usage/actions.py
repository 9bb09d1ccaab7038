"""What is written about usage: what a span of time cost."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.refs import ref
from tongchou.usage import revenue
from tongchou.usage.impact import METHOD, Loss, NotComputable, assess
from tongchou.usage.models import Impact


def compute(*, about: str, start: datetime, end: datetime | None, now: datetime) -> Impact:
    """The revenue lost in a span, not saved; `end` None means it goes on. Raises QueryError when the query fails.

    Final when it has ended and the time for catching up is over: then later samples change nothing.
    """
    until = min(end or now, now)
    made = Impact(about=about, begins_at=start, ends_at=until, method=METHOD, assessed_at=now)
    of = revenue.metric()
    if of is None:
        made.reason, made.inputs = "no_metric", {}
        return made
    read = revenue.read(of, start, until, now)
    made.begins_at, made.ends_at, made.query, made.currency = read.begins_at, read.ends_at, of.query, of.currency
    settled = read.ends_at + timedelta(seconds=of.catch_up_seconds)
    made.final = end is not None and now >= settled
    made.inputs = {
        "series": read.inputs.as_json(),
        "grid_start": read.grid_start.isoformat(),
        "lag_seconds": read.lag_seconds,
        "day_seconds": of.day_seconds,
        "catch_up_seconds": of.catch_up_seconds,
    }
    fill(made, assess(read.inputs))
    return made


def fill(row: Impact, found: Loss | NotComputable) -> None:
    """Put the outcome of the arithmetic into a row."""
    if isinstance(found, NotComputable):
        row.reason, row.inputs = found.code, row.inputs | {"facts": found.facts}
        row.lost = row.low = row.high = row.expected = row.actual = row.caught_up = None
        return
    row.reason = ""
    row.lost, row.low, row.high = found.lost, found.low, found.high
    row.expected, row.actual, row.caught_up = found.expected, found.actual, found.caught_up
    row.inputs = row.inputs | {
        "facts": {"cycles": found.cycles, "spans": found.spans, "absent_steps": found.absent_steps}
    }


def keep(*, actor: Actor, computed: Impact) -> Impact:
    """Save what `compute` gave in place of what was kept about the same thing.

    Event usage.impact_assessed when it became final, or a person asked; figures that still move are no news.
    """
    check(actor, "usage.edit")
    fields = {each.name: getattr(computed, each.name) for each in Impact._meta.concrete_fields if each.name != "id"}
    about = fields.pop("about")
    with transaction.atomic():
        row, created = Impact.objects.select_for_update().get_or_create(about=about, defaults=fields)
        if not created:
            for name, value in fields.items():
                setattr(row, name, value)
            row.save()
        if row.final or actor.kind != "system":
            ledger.record(
                actor=actor,
                verb="usage.impact_assessed",
                subject=ref(row),
                about=[about],
                payload={
                    "lost": None if row.lost is None else str(row.lost),
                    "low": None if row.low is None else str(row.low),
                    "high": None if row.high is None else str(row.high),
                    "currency": row.currency,
                    "reason": row.reason,
                },
            )
    return row
