"""A page far back is the page that a slice gives, with the same order, and reads no more rows than it shows."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tongchou.api.paging import FAR, page_of
from tongchou.core.models import Team

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_a_page_far_back_is_the_slice_of_the_same_order() -> None:
    Team.objects.bulk_create(Team(name=f"team-{number:05d}") for number in range(FAR + 30))
    rows = Team.objects.order_by("-name")
    assert page_of(rows, 3, 5) == list(rows[3:8])
    with CaptureQueriesContext(connection) as asked:
        found = page_of(rows, FAR + 10, 5)
    assert found == list(rows[FAR + 10 : FAR + 15])
    assert len(found) == 5
    assert len(asked) == 2
    assert page_of(rows, FAR + 29, 5) == list(rows[FAR + 29 :])
    assert page_of(rows, 10 * FAR, 5) == []
