"""kill -9 between sending a CloudEvent and noting its answer: at least once, with the same id, in order, none lost."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.alerting.receiver import Receiver, receiving
from tests.served import Served

pytestmark = pytest.mark.slice


def make(client: httpx.Client, name: str) -> None:
    client.post("/api/v1/resources", json={"kind": "region", "name": name}).raise_for_status()


def told(receiver: Receiver) -> list[tuple[str, str, bytes]]:
    """(name of the resource, id, body) of what was received, in the order in which it came."""
    found: list[tuple[str, str, bytes]] = []
    for headers, body in receiver.got:
        event: dict[str, Any] = json.loads(body)
        assert headers["webhook-id"] == event["id"]
        found.append((event["data"]["resources"][0]["name"], event["id"], body))
    return found


def test_killed_between_sending_and_the_answer_nothing_is_lost_and_the_order_holds(served: Served) -> None:
    with receiving(200, None) as receiver:  # the second one is received whole, and its answer never comes
        with served.client() as client:
            body = {"name": "cmdb", "url": receiver.url, "verbs": ["resource.created"], "kinds": ["region"]}
            client.post("/api/v1/inventory/subscriptions", json=body).raise_for_status()
            for name in ("a", "b", "c"):
                make(client, name)
            served.wait(lambda: len(receiver.got) == 2, seconds=60, what="the second delivery")
            make(client, "d")  # recorded, and neither sealed nor read when the power goes
        served.kill()
        served.start()
        with served.client() as client:
            make(client, "e")
            served.wait(lambda: told(receiver)[-1][0] == "e", seconds=90, what="the last delivery")
            (row,) = client.get("/api/v1/inventory/subscriptions").json()["items"]
            log = client.get(f"/api/v1/inventory/subscriptions/{row['id']}/deliveries").json()["items"]
        found = told(receiver)
    ids = {name: {id_ for one, id_, _body in found if one == name} for name in "abcde"}
    assert all(len(each) == 1 for each in ids.values()), "every try has the same id"
    assert len({id_ for _name, id_, _body in found}) == 5
    assert len({body for _name, _id, body in found}) == 5, "and the same bytes"
    assert [name for name, _id, _body in found] == ["a", "b", "b", "c", "d", "e"], "only the unanswered one came twice"
    assert {each["state"] for each in log} == {"sent"}
    assert (row["enabled"], row["failures"], row["lost_events"]) == (True, 0, 0)
