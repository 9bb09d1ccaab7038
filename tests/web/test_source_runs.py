"""The page of a source: its plan, a file handed over, its history."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tests.integrations import laws
from tongchou.core.models import Role
from tongchou.inventory import sources
from tongchou.inventory.models import Resource, SourceRun

pytestmark = pytest.mark.django_db
PATH = "/resources/sources/it/runs"


def state(*vpcs: tuple[str, str]) -> dict[str, Any]:
    made = [{"attributes": {"id": id_, "cidr_block": block}, "index_key": id_} for id_, block in vpcs]
    return {
        "version": 4,
        "lineage": "x",
        "resources": [{"mode": "managed", "type": "aws_vpc", "name": "a", "instances": made}],
    }


def hand(client: Any, content: Any, do: str) -> Any:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    file = io.BytesIO(body)
    file.name = "x.tfstate"
    return client.post("/resources/sources/it/plan", {"do": do, "file": file})


def test_a_plan_is_shown_line_by_line_and_writes_nothing(browser: Any) -> None:
    config = laws.configured("terraform")
    first, second = state(("v1", "10.0.0.0/16"), ("v2", "10.1.0.0/16")), state(("v1", "10.9.0.0/16"))
    sources.run_source(actor=laws.ACTOR, source=config, document=laws.document(first))
    client = browser(Role.ADMIN)
    page = hand(client, second, "plan").content.decode()
    assert "~ network" in page
    assert "&quot;10.0.0.0/16&quot;" in page
    assert "&quot;10.9.0.0/16&quot;" in page
    assert '- network <a href="' in page
    assert "nothing was written" in page
    assert Resource.objects.filter(state="active").count() == 2
    assert hand(client, second, "apply").status_code == 302
    assert Resource.objects.filter(state="active").count() == 1
    assert "No changes" in hand(client, second, "plan").content.decode()


def test_the_history_tells_what_each_run_changed(browser: Any) -> None:
    config = laws.configured("terraform")
    assert "hand one over" in browser(Role.ADMIN).get(PATH).content.decode()
    for document in (state(("v1", "10.0.0.0/16")), *[state(("v1", "10.0.0.0/16"))] * 3, state(("v1", "10.2.0.0/16"))):
        sources.run_source(actor=laws.ACTOR, source=config, document=laws.document(document))
    for _ in range(2):
        with pytest.raises(Exception, match=r"source\.json"):
            sources.run_source(actor=laws.ACTOR, source=config, document=laws.document(b"{"))
    runs = list(SourceRun.objects.order_by("id"))
    assert [(run.failed, run.looks, sorted(run.counts)) for run in runs] == [
        (False, 1, ["created", "seen"]),
        (False, 3, ["seen"]),
        (False, 1, ["changed", "seen"]),
        (True, 2, []),
    ]
    assert runs[2].plan["changed"][0]["changes"] == [["prefix", '"10.0.0.0/16"', '"10.2.0.0/16"']]
    page = browser(Role.VIEWER).get(PATH).content.decode()
    assert "+ 1" in page
    assert "→ &quot;10.2.0.0/16&quot;" in page
    assert 'name="file"' not in page


def test_a_file_that_will_not_do_is_told_on_the_page(browser: Any) -> None:
    laws.configured("terraform")
    answer = hand(browser(Role.ADMIN), b"{", "plan")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()


def test_the_api_lists_runs(api: Any) -> None:
    config = laws.configured("terraform")
    sources.run_source(actor=laws.ACTOR, source=config, document=laws.document(state(("v1", "10.0.0.0/16"))))
    (run,) = api.get("/api/v1/sources/it/runs").json()["items"]
    assert run["plan"]["created"][0]["name"] == 'aws_vpc.a["v1"]'
    assert (run["looks"], run["by"], run["failed"]) == (1, "tests", False)


def test_the_weight_and_patience_of_a_source_are_shown_and_changed(browser: Any) -> None:
    config = laws.configured("terraform")
    sources.configure_source(
        actor=laws.ACTOR, name=config.name, wanted=sources.Wanted(attribute_precedence={"owner": 30})
    )
    shown = browser(Role.VIEWER).get(PATH).content.decode()
    assert "owner = 30" in shown
    assert 'name="precedence"' not in shown
    client = browser(Role.ADMIN)
    said = {
        "precedence": "70",
        "attribute_precedence": "os = 5\n\nowner=300",
        "missing_after": "4",
        "grace_seconds": "1.5",
    }
    address = f"/resources/sources/{config.name}/policy"
    assert client.post(address, {**said, "declares": "on"}).status_code == 302
    config.refresh_from_db()
    assert (config.precedence, config.missing_after, config.grace_seconds, config.declares) == (70, 4, 1.5, True)
    assert config.attribute_precedence == {"os": 5, "owner": 300}
    for field, text in (
        ("precedence", "1000"),
        ("precedence", "high"),
        ("attribute_precedence", "os = 1.5"),
        ("attribute_precedence", "os"),
        ("attribute_precedence", "os = 1\nos = 2"),
        ("missing_after", "0"),
        ("grace_seconds", "nan."),
    ):
        refused = client.post(address, {**said, field: text})
        page = refused.content.decode()
        assert refused.status_code == 422, text
        assert 'role="alert"' in page
        assert 'aria-invalid="true"' in page
        assert text.splitlines()[0] in page
    assert browser(Role.VIEWER).post(address, said).status_code == 403
    config.refresh_from_db()
    assert config.precedence == 70


def test_a_source_that_waits_for_files_is_not_asked_to_look_and_does_not_fail_for_that(browser: Any, api: Any) -> None:
    config = laws.configured("terraform")
    client = browser(Role.ADMIN)
    page = client.get("/resources/sources").content.decode()
    assert 'value="run"' not in page
    assert "waits for a file" in page
    answer = client.post("/resources/sources/it", {"do": "run"})
    assert (answer.status_code, "waits for a file" in answer.content.decode()) == (422, True)
    assert api.post("/api/v1/sources/it/sync").status_code == 422
    config.refresh_from_db()
    assert (config.last_error, config.last_run_at, SourceRun.objects.count()) == ("", None, 0)


def test_a_look_that_fails_is_told_on_the_page_of_the_source(browser: Any) -> None:
    laws.configured("http_sd", {"url": "http://127.0.0.1:9/targets"})
    answer = browser(Role.ADMIN).post("/resources/sources/it", {"do": "run"})
    page = answer.content.decode()
    assert (answer.status_code, SourceRun.objects.get().failed) == (503, True)
    assert 'role="alert"' in page
    assert "History of looks" in page


def test_a_source_is_deleted_on_its_page_by_who_may_and_it_says_what_goes(browser: Any) -> None:
    config = laws.configured("terraform")
    sources.run_source(actor=laws.ACTOR, source=config, document=laws.document(state(("v1", "10.0.0.0/16"))))
    assert 'value="delete"' not in browser(Role.VIEWER).get(PATH).content.decode()
    client = browser(Role.ADMIN)
    assert 'value="delete"' in client.get(PATH).content.decode()
    assert client.post("/resources/sources/it", {"do": "delete"}).status_code == 302
    assert Resource.objects.get().state == "tombstone"


def test_changing_a_source_that_is_off_leaves_it_off(browser: Any) -> None:
    laws.configured("terraform")
    client = browser(Role.ADMIN)
    client.post("/resources/sources/it", {"do": "disable"})
    assert "switched off" in client.get(PATH).content.decode()
    told = client.post("/resources/sources", {"name": "it", "kind": "terraform", "interval": "60"}, follow=True)
    assert "It is switched off" in told.content.decode()
    assert not sources.get_source("it").enabled
    client.post("/resources/sources/it", {"do": "enable"})
    told = client.post("/resources/sources", {"name": "it", "kind": "terraform", "interval": "61"}, follow=True)
    assert "It waits for a file" in told.content.decode()
