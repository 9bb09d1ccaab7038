"""Requirements from a file: made once, changed where a cell differs, the export comes back unchanged."""

from __future__ import annotations

import pytest

from tests.importing import done, errors, exported, planned, plans, undone
from tests.web.foreign import member_of
from tongchou.changes.models_requirements import Requirement
from tongchou.core import people
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Role

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
SYSTEM = system("tests")
KIND = "changes.requirement"
FILE = (
    "title,need,drivers,owner,wanted,budget,currency,slo,rto,rpo,data,mlps\n"
    "Sale,Orders triple,campaign; law,operator,2026-11-01,120000.5,cny,99.95%,30,5,personal,3\n"
    '"Archive, cold",,,,,,,,,,,\n'
)


def test_a_file_makes_requirements_and_its_export_changes_nothing(operator_actor: Actor) -> None:
    batch = done(operator_actor, KIND, FILE)
    first, second = Requirement.objects.order_by("number")
    assert (first.drivers, first.owner and first.owner.username) == (["campaign", "law"], "operator")
    assert (str(first.budget), first.currency, str(first.slo_percent)) == ("120000.50", "CNY", "99.950000")
    assert (first.rto_minutes, first.rpo_minutes, first.data_class, first.mlps_level) == (30, 5, "personal", 3)
    assert second.title == "Archive, cold"
    assert plans(planned(operator_actor, KIND, FILE)) == ["unchanged", "unchanged"]
    for format_ in ("csv", "xlsx", "json"):
        again = planned(operator_actor, KIND, exported(operator_actor, KIND, format_), f"x.{format_}")
        assert plans(again) == ["unchanged", "unchanged"], format_
    done(operator_actor, KIND, "number,title,budget\n1,Sale,90000\n")
    first.refresh_from_db()
    assert str(first.budget) == "90000.00"
    undone(operator_actor, batch)
    assert not Requirement.objects.filter(number=2).exists()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("title,budget\nSale,many\n", "budget"),
        ("title,budget\nSale,5\n", "currency"),
        ("title,slo\nSale,100\n", "slo"),
        ("title,mlps\nSale,9\n", "mlps"),
        ("title,owner\nSale,nobody\n", "owner"),
        ("title,wanted\nSale,soon\n", "wanted"),
        ("title,data\nSale,secret\n", "data"),
        ("number,title\n77,Sale\n", "number"),
    ],
)
def test_a_cell_that_will_not_do_is_named(operator_actor: Actor, text: str, field: str) -> None:
    assert list(errors(planned(operator_actor, KIND, text)).values()) == [field]
    assert not Requirement.objects.exists()


def test_a_member_of_a_team_imports_for_their_team_only() -> None:
    ours = people.create_team(actor=SYSTEM, name="ours")
    actor = actor_for_user(member_of(ours, Role.OPERATOR))
    assert plans(planned(actor, KIND, "title,owner\nSale,team:ours\nOther,\n"))[0] == "create"
    assert len(errors(planned(actor, KIND, "title,owner\nSale,team:ours\nOther,\n"))) == 1
