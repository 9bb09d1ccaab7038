"""Objectives and silences from a file: as by hand, round trip, refusals by row, way back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.importing import done, edited, errors, exported, planned, plans, told, undone
from tests.web.foreign import member_of
from tongchou.alerting import silences
from tongchou.alerting.models import Objective, RuleFile, Silence
from tongchou.alerting.slo import actions
from tongchou.alerting.slo.spec import Spec
from tongchou.core import people
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.lists import batches
from tongchou.core.models import Event, Role
from tongchou.core.problems import AccessDenied, Conflict
from tongchou.telemetry.series import Matcher

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
SYSTEM = system("tests")
OBJECTIVES, SILENCES = "alerting.objective", "alerting.silence"
HEAD = "name,title_en,title_zh,service,error_query,total_query,target,window\n"
BAD, ALL = 'sum(increase(http_total{code="500"}[$window]))', "sum(increase(http_total[$window]))"
NOW = datetime.fromisoformat("2026-11-02T08:00:00+00:00")


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def line(name: str, target: str = "0.999", window: str = "30d", bad: str = BAD) -> str:
    return f"{name},Orders answer,订单可用,orders,{quoted(bad)},{quoted(ALL)},{target},{window}\n"


def objectives() -> list[dict[str, Any]]:
    names = ("name", "title", "service", "error_query", "target", "window_seconds", "min_events", "min_errors")
    return list(Objective.objects.order_by("name").values(*names))


# --- objectives -------------------------------------------------------------------------------------------------------


def test_objectives_come_with_their_rules_and_go_with_them(operator_actor: Actor) -> None:
    text = HEAD + line("orders") + line("pay", "0.99", "604800")
    batch = done(operator_actor, OBJECTIVES, text)
    assert [row["window_seconds"] for row in objectives()] == [30 * 86_400, 7 * 86_400]
    assert objectives()[0]["title"] == {"en": "Orders answer", "zh": "订单可用"}
    assert set(RuleFile.objects.values_list("name", flat=True)) >= {"slo-orders", "slo-pay"}
    assert Event.objects.filter(verb="alerting.objective_changed", correlation_id=str(batch.pk)).count() == 2
    assert plans(planned(operator_actor, OBJECTIVES, text)) == ["unchanged", "unchanged"]
    assert undone(operator_actor, batch) == {"undone": 2}
    assert not Objective.objects.exists()
    assert not RuleFile.objects.filter(name__startswith="slo-").exists()


def test_an_export_of_objectives_that_was_changed_is_imported_and_undone(operator_actor: Actor) -> None:
    done(operator_actor, OBJECTIVES, HEAD + line("orders") + line("pay"))
    before = objectives()
    file = edited(
        exported(operator_actor, OBJECTIVES),
        lambda row: {"target": "0.95", "window": "7d", "title_zh": ""} if row["name"] == "pay" else {},
    )
    batch = done(operator_actor, OBJECTIVES, file, "o.json")
    assert sorted(plans(batch)) == ["change", "unchanged"]
    pay = Objective.objects.get(name="pay")
    assert (pay.target, pay.window_seconds, pay.title) == (0.95, 7 * 86_400, {"en": "Orders answer"})
    for format_ in ("csv", "xlsx", "json"):
        again = planned(operator_actor, OBJECTIVES, exported(operator_actor, OBJECTIVES, format_), f"x.{format_}")
        assert plans(again) == ["unchanged", "unchanged"], format_
    assert undone(operator_actor, batch) == {"undone": 1}
    assert objectives() == before


def test_wrong_objectives_are_told_by_row_and_field(operator_actor: Actor) -> None:
    text = (
        HEAD
        + line("good")
        + line("Bad Name")
        + line("half", target="150%")
        + line("much", target="1.5")
        + line("short", window="1s")
        + line("odd", window="soon")
        + line("rate", bad="sum(rate(http_total[$window]))")
        + line("broken", bad="sum(increase(http_total[$window])")
        + "empty,,,,,,,\n"
    )
    batch = planned(operator_actor, OBJECTIVES, text)
    assert errors(batch) == {
        3: "name",
        4: "target",
        5: "target",
        6: "window",
        7: "window",
        8: "error_query",
        9: "error_query",
        10: "service",
    }
    with pytest.raises(Conflict):
        batches.start(actor=operator_actor, batch=batch)
    assert not Objective.objects.exists()


def test_one_that_was_changed_since_is_left_alone(operator_actor: Actor) -> None:
    batch = done(operator_actor, OBJECTIVES, HEAD + line("orders") + line("pay"))
    other = Spec("pay", {"en": "x"}, "pay", BAD, ALL, 0.5, 86_400)
    actions.put_objective(actor=SYSTEM, spec=other)
    assert undone(operator_actor, batch) == {"undone": 1, "kept": 1}
    assert told(batch, result="kept")["field"] in {"title_en", "title_zh", "service", "target", "window"}
    assert Objective.objects.get().name == "pay"


# --- silences ---------------------------------------------------------------------------------------------------------

WANTED = 'matchers,why,starts,ends\n"service=""orders"", severity=~""a|b""",upgrade,,2026-11-03T08:00:00Z\n'


@time_machine.travel(NOW, tick=False)
def test_silences_come_change_and_end(operator_actor: Actor) -> None:
    batch = done(operator_actor, SILENCES, WANTED)
    row = Silence.objects.get()
    assert (row.starts_at, row.ends_at, row.comment) == (NOW, NOW + timedelta(days=1), "upgrade")
    assert row.created_by_name == "operator"
    assert plans(planned(operator_actor, SILENCES, WANTED)) == ["unchanged"]
    file = edited(
        exported(operator_actor, SILENCES), lambda _row: {"why": "=longer", "ends": "2026-11-05T08:00:00+08:00"}
    )
    longer = done(operator_actor, SILENCES, file, "s.json")
    row.refresh_from_db()
    assert (row.comment, row.ends_at) == ("=longer", datetime.fromisoformat("2026-11-05T00:00:00+00:00"))
    assert undone(operator_actor, longer) == {"undone": 1}
    row.refresh_from_db()
    assert (row.comment, row.ends_at) == ("upgrade", NOW + timedelta(days=1))
    assert undone(operator_actor, batch) == {"undone": 1}
    row.refresh_from_db()
    assert row.ends_at == NOW
    assert plans(planned(operator_actor, SILENCES, exported(operator_actor, SILENCES))) == ["unchanged"]


@time_machine.travel(NOW, tick=False)
def test_wrong_silences_are_told_by_row_and_field(operator_actor: Actor) -> None:
    ended = silences.create_silence(
        actor=SYSTEM, matchers=[Matcher("a", "=", "b")], ends_at=NOW + timedelta(hours=1), comment="x"
    )
    silences.expire_silence(actor=SYSTEM, silence_id=ended.pk)
    later = "2026-11-03T08:00:00Z"
    text = (
        "id,matchers,why,starts,ends\n"
        f',everything=~".*",x,,{later}\n'
        f",not a matcher,x,,{later}\n"
        f',a="1",,,{later}\n'
        ',a="2",x,,\n'
        ',a="3",x,,2026-11-01T08:00:00Z\n'
        ',a="4",x,,tomorrow\n'
        f',a="5",x,{later},{later}\n'
        f'{ended.pk},a="b",again,,{later}\n'
        f'no-id,a="b",x,,{later}\n'
        f'{"0" * 8}-0000-4000-8000-{"0" * 12},a="b",x,,{later}\n'
    )
    batch = planned(operator_actor, SILENCES, text)
    wrong = errors(batch)
    assert wrong == {
        2: "matchers",
        3: "matchers",
        4: "why",
        5: "ends",
        6: "ends",
        7: "ends",
        8: "ends",
        9: "why",
        10: "id",
        11: "id",
    }
    with pytest.raises(Conflict):
        batches.start(actor=operator_actor, batch=batch)
    assert Silence.objects.count() == 1


def test_who_may_not_by_hand_may_not_by_file(viewer_actor: Actor) -> None:
    team = people.create_team(actor=SYSTEM, name="ours")
    for actor in (viewer_actor, actor_for_user(member_of(team, Role.OPERATOR))):
        for kind, text in ((OBJECTIVES, HEAD + line("x")), (SILENCES, WANTED)):
            with pytest.raises(AccessDenied):
                planned(actor, kind, text)


# --- properties -------------------------------------------------------------------------------------------------------

FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=8)
MATCHERS = st.lists(st.builds(Matcher, st.sampled_from(["a", "b_1"]), st.sampled_from(["=", "!="]), VALUES), max_size=2)
WHY = VALUES.map(str.strip).filter(bool)


@given(st.lists(st.tuples(MATCHERS, VALUES, WHY), min_size=1, max_size=3), st.sampled_from(["csv", "xlsx", "json"]))
@FEW
def test_silences_that_were_exported_are_imported_without_a_change(
    operator_actor: Actor, made: Any, format_: str
) -> None:
    Silence.objects.all().delete()
    for matchers, value, why in made:
        first = Matcher("service", "=", value)
        ends = timezone.now() + timedelta(hours=1)
        silences.create_silence(actor=SYSTEM, matchers=[first, *matchers], ends_at=ends, comment=why)
    batch = planned(operator_actor, SILENCES, exported(operator_actor, SILENCES, format_), f"x.{format_}")
    assert [(row.label, row.before, row.after, row.error) for row in batch.rows.exclude(plan="unchanged")] == []
    assert batch.rows.count() == len(made)
