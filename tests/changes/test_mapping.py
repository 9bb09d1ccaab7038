"""Rules of a sender: the first that fits decides, and what no rule knows is not lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tongchou.changes.deployment import Report
from tongchou.changes.mapping import MAX_RULES, artifact_version, read_rules, report_of
from tongchou.changes.told import Ignored, Told, key_of, moment
from tongchou.core.problems import Invalid

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SHA = "c6d86dc654b12425e706bcf951adfe5a8627a517"


def told(**more: Any) -> Told:
    """A report of a job."""
    fields = {"key": "k", "event": "e", "name": "shop/orders", "status": "succeeded", "started_at": NOW, "at": NOW}
    return Told(**{**fields, "finished_at": NOW, "stage": 2, "sha": SHA, **more})


def mapped(rules: list[dict[str, Any]], **more: Any) -> Report:
    """What the rules make of it."""
    found = report_of(told(**more), read_rules(rules), NOW)
    assert isinstance(found, Report)
    return found


def test_without_a_rule_the_name_and_the_short_hash_are_taken() -> None:
    found = mapped([])
    assert (found.service, found.version, found.environment) == ("orders", SHA[:12], "")


def test_the_first_rule_that_fits_decides() -> None:
    rules = [
        {
            "name": "shop/*",
            "environment": "prod*",
            "service": "shop-{name}",
            "version": "ref",
            "to_environment": "live",
        },
        {"name": "shop/*", "service": "other"},
    ]
    found = mapped(rules, environment="prod-eu", ref="main")
    assert (found.service, found.version, found.environment) == ("shop-orders", "main", "live")
    assert mapped(rules, environment="test").service == "other"
    assert mapped(rules, name="Shop/orders").service == "orders"


def test_parameters_fill_places_and_unknown_ones_are_empty() -> None:
    rules = [{"service": "{param.APP}", "version": "{param.VERSION}", "to_environment": "{param.NONE}"}]
    found = mapped(rules, parameters={"APP": "carts", "VERSION": "7"}, environment="live")
    assert (found.service, found.version, found.environment) == ("carts", "7", "live")
    assert mapped(rules).service == "orders"
    assert mapped(rules).version == "unknown"


def test_what_a_rule_leaves_out_or_what_wants_one_is_ignored() -> None:
    rules = read_rules([{"ref": "renovate/*", "ignore": True}])
    assert report_of(told(ref="renovate/x"), rules, NOW) == Ignored("rule_ignores", "e")
    assert report_of(told(wants_rule=True), rules, NOW) == Ignored("no_rule", "e")
    assert report_of(told(at=NOW - timedelta(days=500)), [], NOW) == Ignored("too_old", "e")


@pytest.mark.parametrize(
    ("artifact", "version"),
    [
        ("pkg:oci/orders@sha256%3A0b31?repository_url=registry.example/orders&tag=1.4.0", "1.4.0"),
        ("pkg:oci/orders@sha256%3A0b31b1c02ff458ad9b7b81cb", "0b31b1c02ff4"),
        ("pkg:maven/org.example/orders@1.4.0?type=jar", "1.4.0"),
        ("registry.example:5000/shop/orders:1.4.0", "1.4.0"),
        ("registry.example:5000/shop/orders", ""),
        ("orders@sha256:0b31b1c02ff458ad9b7b81cb", "0b31b1c02ff4"),
        ("", ""),
    ],
)
def test_the_version_of_an_artifact(artifact: str, version: str) -> None:
    assert artifact_version(artifact) == version


@pytest.mark.parametrize(
    "rules",
    [
        {},
        ["x"],
        [{"repo": "x"}],
        [{"name": 1}],
        [{"name": "a\nb"}],
        [{"version": "newest"}],
        [{"ignore": "yes"}],
        [{"service": "x" * 254}],
        [{}] * (MAX_RULES + 1),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(rules: Any) -> None:
    with pytest.raises(Invalid):
        read_rules(rules)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-11-28T10:00:00Z", "2026-11-28T10:00:00+00:00"),
        ("2026-11-28 18:00:00 +0800", "2026-11-28T10:00:00+00:00"),
        ("2026-11-28 10:00:00 UTC", "2026-11-28T10:00:00+00:00"),
        (1_795_860_000_000, "2026-11-28T10:00:00+00:00"),
        ("2027-01-01T00:00:00Z", NOW.isoformat()),
        ("0001-01-01T00:00:00Z", None),
        ("yesterday", None),
        (10**30, None),
        (True, None),
        (None, None),
    ],
)
def test_times_as_tools_write_them(written: Any, read: str | None) -> None:
    found = moment(written, NOW)
    assert (found.isoformat() if found else None) == read


def test_a_key_that_is_too_long_or_not_ascii_is_hashed_and_stays_apart() -> None:
    assert key_of("gitlab", 30, 15) == "gitlab:30:15"
    one, other = key_of("jenkins", "订单" * 50, 1), key_of("jenkins", "订单" * 50, 2)
    assert one != other
    assert max(len(one), len(other)) <= 120
