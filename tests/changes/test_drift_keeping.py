"""Drift that is gone is pruned when it is old; what still differs is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests import rows
from tongchou.changes.models_drift import Drift
from tongchou.core import retention

pytestmark = pytest.mark.django_db


def test_only_what_is_gone_for_long_goes() -> None:
    rows.grow(4, only=["changes.Drift"])
    old, fresh = timezone.now() - timedelta(days=500), timezone.now()
    ids = list(Drift.objects.order_by("pk").values_list("pk", flat=True))
    for pk, (state, seen, gone) in zip(
        ids, [("cleared", old, old), ("cleared", old, fresh), ("open", old, None), ("adopt", old, old)], strict=True
    ):
        Drift.objects.filter(pk=pk).update(state=state, last_seen_at=seen, cleared_at=gone)
    found = next(each for each in retention.classes() if each.name == "drift")
    before = timezone.now() - timedelta(days=400)
    assert found.older(before).rows == 1
    assert found.prune(before, 100) == 1
    assert set(Drift.objects.values_list("pk", flat=True)) == set(ids[1:])
