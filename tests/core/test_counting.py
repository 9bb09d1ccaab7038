"""Counts beside rows: nobody's are zero, and another's are not counted."""

from __future__ import annotations

import pytest

from tongchou.core.counting import count_of
from tongchou.core.models import ApiToken, User

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_each_row_has_its_own_count_and_none_is_zero() -> None:
    many, none = (User.objects.create(username=name) for name in ("many", "none"))
    for number in range(3):
        ApiToken.objects.create(user=many, name="n" if number else "other", prefix="p", digest=str(number))
    rows = User.objects.annotate(tokens=count_of(ApiToken.objects.filter(name="n"), "user")).filter(
        pk__in=[many.pk, none.pk]
    )
    assert {row.username: row.tokens for row in rows} == {"many": 2, "none": 0}
