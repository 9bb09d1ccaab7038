"""The lists of alerting: labels of alerts and groups narrow the same on both databases, whatever a label is called."""

from __future__ import annotations

import pytest
from django.utils import timezone

from tongchou.alerting.models import AlertGroup
from tongchou.core.access import system
from tongchou.core.lists import conditions
from tongchou.core.lists.tables import table

GROUPS = table("alerting.alertgroup")


@pytest.fixture
def three(db: None) -> None:
    for key, labels in (
        ("a", {"env": "prod", "contains": "x", "a__regex": "("}),
        ("b", {"env": "test", "quote": 'say "hi"', "empty": ""}),
        ("c", {}),
    ):
        AlertGroup.objects.create(key=key, labels=labels, started_at=timezone.now())


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("label", "env=prod", "a"),
        ("label", "env", "ab"),
        ("label", "env=pro", ""),
        ("label", "env=prod,contains=x", "a"),
        ("label", "env=prod,quote", ""),
        ("label", "contains=x", "a"),
        ("label", "a__regex=(", "a"),
        ("label", "a__regex=[", ""),
        ("label", 'quote=say "hi"', "b"),
        ("label", "empty=", "b"),
        ("label", "isnull=x", ""),
        ("label", "no-such.name=x", ""),
        ("label.not", "env=prod", "bc"),
        ("label.not", "env", "c"),
        ("label.not", "env=prod,env=test", "c"),
        ("label.not", "isnull=x", "abc"),
    ],
)
def test_labels_narrow_by_name_and_by_value(key: str, value: str, found: str, three: None) -> None:
    asked = conditions.read(GROUPS, {key: [value], "state": ["all"]}, strict=True)
    rows = conditions.apply(GROUPS, GROUPS.rows(system("tests")), system("tests"), asked)
    assert "".join(sorted(row.key for row in rows)) == found
