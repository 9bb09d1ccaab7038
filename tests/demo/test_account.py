"""What a scenario reads out of the platform's answers."""

from __future__ import annotations

from typing import Any

import httpx

from tongchou.demo.account import Reading, joined, learn, nearest, revenue
from tongchou.demo.faults import faults
from tongchou.demo.inbox import Inbox
from tongchou.demo.result import Result


def suspect(rank: int, name: str, kind: str = "resource", ref: str = "") -> dict[str, Any]:
    return {"rank": rank, "kind": kind, "name": name, "score": 10.0, "ref": ref or name, "about": [ref or name]}


def reading(incident_id: str, procedure: str, *suspects: dict[str, Any]) -> Reading:
    return Reading({"id": incident_id, "suspects": list(suspects)}, {"name": procedure})


def test_the_rank_is_that_of_the_reading_that_led_to_the_repair() -> None:
    early = reading("1", "restart-leaking-process", suspect(1, "storefront-2"), suspect(2, "orders-1"))
    late = reading("1", "free-spool", suspect(1, "orders-1"), suspect(2, "x"), suspect(3, "storefront-2"))
    result = Result("disk-fill+memory-leak")
    learn(result, faults("disk-fill+memory-leak"), [early])
    assert result.true_cause_rank == {"disk-fill": 2, "memory-leak": 1}
    learn(result, faults("disk-fill+memory-leak"), [early, late])
    assert result.true_cause_rank == {"disk-fill": 1, "memory-leak": 1}
    assert result.incident_id == "1"


def test_of_one_fault_the_rank_is_a_number_and_none_when_the_cause_is_no_suspect() -> None:
    result = Result("disk-fill")
    learn(result, faults("disk-fill"), [reading("1", "free-spool", suspect(1, "orders"), suspect(2, "orders-1"))])
    assert result.true_cause_rank == 2
    assert [each["rank"] for each in result.top_suspects] == [1, 2]
    learn(result, faults("disk-fill"), [reading("1", "free-spool", suspect(1, "orders"))])
    assert result.true_cause_rank is None


def test_two_incidents_are_both_named() -> None:
    result = Result("disk-fill+memory-leak")
    both = [
        reading("1", "free-spool", suspect(1, "orders-1")),
        reading("2", "restart-leaking-process", suspect(1, "x")),
    ]
    learn(result, faults("disk-fill+memory-leak"), both)
    assert result.incident_id == "1+2"
    assert result.true_cause_rank == {"disk-fill": 1, "memory-leak": None}


def test_the_procedure_that_acts_on_the_likeliest_suspect_is_chosen() -> None:
    first, second = {"name": "a", "targets": ["r:1"]}, {"name": "b", "targets": ["r:2"]}
    assert nearest([first, second], [suspect(1, "x", ref="r:9"), suspect(2, "y", ref="r:2")]) is second
    assert nearest([first, second], [suspect(1, "x", ref="r:9")]) is first


def test_texts_are_joined_once() -> None:
    assert joined(None, "a") == "a"
    assert joined("a", "b") == "a+b"
    assert joined("a+b", "a") == "a+b"


def test_the_largest_figure_stands_for_incidents_of_one_time() -> None:
    known = {"computable": True, "lost": "10.50", "low": "-1", "high": "20"}
    unknown = {"computable": False, "reason": "too short"}
    assert revenue([unknown, known, {**known, "lost": "3"}]) == {"value": 10.5, "low": -1.0, "high": 20.0}
    assert revenue([unknown, unknown]) == {"not_computable": "too short"}


def test_the_inbox_counts_what_arrives_once() -> None:
    with Inbox() as inbox, httpx.Client(trust_env=False) as client:
        for notice_id, status in (("1", "firing"), ("1", "firing"), ("2", "firing"), ("", "firing"), ("", "firing")):
            headers = {"webhook-id": notice_id} if notice_id else {}
            body = {"status": status, "groupKey": "a"}
            assert client.post(inbox.url, json=body, headers=headers).status_code == 200
        assert client.post(inbox.url, content=b"not json").status_code == 400
        assert inbox.counts() == {"firing": 4, "resolved": 0}
        assert inbox.unended() == ["a"]
        client.post(inbox.url, json={"status": "resolved", "groupKey": "a"}, headers={"webhook-id": "3"})
        assert inbox.unended() == []
        inbox.empty()
        assert inbox.counts() == {"firing": 0, "resolved": 0}
