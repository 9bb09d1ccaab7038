"""Numbers of series that all processes agree on: one row a series in the relational database, given out under a lock.

Two processes that meet the same new series at the same moment get the same number; a number is never given twice, not
even after the relational database was replaced by an empty one (it goes on above what the store holds).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from django.db import DatabaseError, close_old_connections, transaction
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Unavailable
from tongchou.telemetry.models import SeriesCounter, SeriesNumber
from tongchou.telemetry.series import Labels

CHUNK = 2_000

Numbering = Callable[[Sequence[Labels], int], list[int]]
"""(labels of series, a number all are to be at least) -> their numbers, in the order given. May raise Problems."""


def digest_of(labels: Labels) -> bytes:
    """What stands for the labels of a series: SHA-256 over every name and value with its length."""
    found = hashlib.sha256()
    for name, value in labels:
        for part in (name.encode(), value.encode()):
            found.update(len(part).to_bytes(4, "big"))
            found.update(part)
    return found.digest()


def agreed_numbers(series: Sequence[Labels], at_least: int) -> list[int]:
    """The numbers of these series, made where they are new. Raises Unavailable while the database does not answer."""
    digests = [digest_of(labels) for labels in series]
    numbers: dict[bytes, int] = {}
    close_old_connections()
    try:
        for first in range(0, len(digests), CHUNK):
            numbers |= _numbers(digests[first : first + CHUNK], at_least)
    except DatabaseError as error:
        raise Unavailable(
            "telemetry.numbering",
            _("New series cannot be numbered while the database does not answer: %(error)s")
            % {"error": type(error).__name__},
            remedy=_("Look at PostgreSQL; senders try again by themselves."),
        ) from error
    finally:
        close_old_connections()
    return [numbers[each] for each in digests]


def _known(digests: Sequence[bytes]) -> dict[bytes, int]:
    found = SeriesNumber.objects.filter(digest__in=digests).values_list("digest", "number")
    return {bytes(digest): number for digest, number in found}


def _numbers(digests: Sequence[bytes], at_least: int) -> dict[bytes, int]:
    known = _known(digests)
    if len(known) == len(set(digests)):
        return known
    SeriesCounter.objects.bulk_create([SeriesCounter(pk=1)], ignore_conflicts=True)
    with transaction.atomic():
        counter = SeriesCounter.objects.select_for_update().get(pk=1)
        known = _known(digests)  # another process may have been first
        following = max(counter.following, at_least)
        fresh = [each for each in dict.fromkeys(digests) if each not in known]
        rows = [SeriesNumber(digest=digest, number=following + at) for at, digest in enumerate(fresh)]
        SeriesNumber.objects.bulk_create(rows)
        SeriesCounter.objects.filter(pk=1).update(following=following + len(fresh))
    return known | {bytes(row.digest): row.number for row in rows}
