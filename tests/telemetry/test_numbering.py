"""Numbers all processes agree on, out of the relational database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection

from tongchou.core.problems import Unavailable
from tongchou.telemetry import numbering
from tongchou.telemetry.models import SeriesNumber
from tongchou.telemetry.numbering import agreed_numbers, digest_of
from tongchou.telemetry.series import labels_of

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def series(*names):
    return [labels_of({"__name__": "m", "i": str(name)}) for name in names]


def test_a_series_keeps_its_number_and_another_gets_another():
    first = agreed_numbers(series("a", "b", "a"), 0)
    assert first[0] == first[2] != first[1]
    assert agreed_numbers(series("b", "c", "a"), 0) == [first[1], 2, first[0]]


def test_numbers_begin_above_what_the_store_holds():
    assert agreed_numbers(series("a"), 1000) == [1000]
    assert agreed_numbers(series("b"), 0) == [1001]


def test_writers_that_meet_the_same_new_series_at_once_get_the_same_numbers():
    def take(offset):
        try:
            return [agreed_numbers(series(*range(step, step + 50)), 0) for step in range(offset % 3, 60, 3)]
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(take, range(6)))
    assert found[:3] == found[3:]
    numbers = list(SeriesNumber.objects.values_list("number", flat=True))
    assert sorted(numbers) == list(range(len(numbers))), "none twice, none skipped"


def test_labels_that_only_look_alike_are_told_apart():
    assert digest_of((("a", "bc"),)) != digest_of((("ab", "c"),))
    assert digest_of((("a", "b"), ("c", "d"))) != digest_of((("a", "bcd"),))


def test_without_the_database_new_series_wait_and_the_reason_is_told(monkeypatch):
    def gone(*args):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(numbering, "_known", gone)
    with pytest.raises(Unavailable, match="numbering"):
        agreed_numbers(series("a"), 0)
