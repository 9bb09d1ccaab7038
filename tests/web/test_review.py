"""The pages of postmortems and improvements: every state, both languages, paper, conflicts, safe Markdown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.template.loader import render_to_string
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st

from tests.incidents.learning import draft, outage, proving, resolved, shop_outage, written
from tests.incidents.scene import Shop, run_jobs
from tongchou.core.access import Actor, actor_for_user
from tongchou.core.models import Role, User
from tongchou.incidents import improvements_actions, postmortem_actions
from tongchou.incidents.models import Incident, Postmortem
from tongchou.web.markdown import render

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(browser: Any) -> Any:
    """An operator's browser."""
    return browser(Role.OPERATOR)


@pytest.fixture
def me(client: Any) -> Actor:
    """The operator."""
    return actor_for_user(User.objects.get(pk=client.user.pk))


@pytest.fixture
def incident(me: Actor) -> Incident:
    """A resolved critical incident."""
    _shop, found = shop_outage(timezone.now() - timedelta(minutes=15))
    return resolved(me, found)


def text(response: Any) -> str:
    return str(response.content.decode())


def test_what_is_missing_is_begun_from_the_list(client: Any, incident: Incident) -> None:
    page = text(client.get("/postmortems"))
    assert incident.name in page
    assert "not begun" in page
    assert client.post(f"/postmortems/{incident.number}/start").status_code == 302
    page = text(client.get(f"/postmortems/{incident.number}"))
    assert "Time to detect" in page
    assert "Nobody has written the summary yet" in page
    assert client.get("/postmortems/99").status_code == 404


def test_empty_lists_say_what_to_do(client: Any) -> None:
    assert "needs a published postmortem" in text(client.get("/postmortems"))
    assert "Begin one in the room" in text(client.get("/postmortems?state=draft"))
    assert "comes out of a postmortem" in text(client.get("/improvements"))


def test_a_conflict_shows_both_texts_and_saves_neither(client: Any, me: Actor, incident: Incident) -> None:
    row = written(me, incident, "theirs")
    form = {"version": "1", "summary": "mine, still <b>here</b>", "lessons": "new", "went_well": ""}
    response = client.post(f"/postmortems/{incident.number}/edit", form)
    assert response.status_code == 409
    page = text(response)
    assert "mine, still &lt;b&gt;here&lt;/b&gt;" in page
    assert ">theirs</pre>" in page
    assert f'name="version" value="{row.version}"' in page
    row.refresh_from_db()
    assert (row.summary, row.lessons) == ("theirs", "")
    event = row.facts["timeline"][0]["id"]
    again = form | {"version": str(row.version), f"note-{event}": "a remark", f"hide-{event}": "1"}
    assert client.post(f"/postmortems/{incident.number}/edit", again).status_code == 302
    row.refresh_from_db()
    assert row.summary == "mine, still <b>here</b>"
    assert row.marks == {str(event): {"hidden": True, "note": "a remark"}}
    assert "a remark" not in text(client.get(f"/postmortems/{incident.number}"))  # a hidden event hides its remark


@pytest.mark.parametrize("paper", ["", "&print=1"])
def test_the_document_is_drawn_in_either_language_whatever_the_readers(
    client: Any, me: Actor, incident: Incident, paper: str
) -> None:
    written(me, incident, "people's own *words* 原文")
    for language, word, other in (("en", "What was run", "执行过的操作"), ("zh", "执行过的操作", "What was run")):
        response = client.get(f"/postmortems/{incident.number}?lang={language}{paper}")
        page = text(response)
        assert word in page
        assert other not in page
        assert "people's own <em>words</em> 原文" in page
        assert ('class="sidebar"' in page) == (not paper)


def test_review_publish_and_revise(client: Any, me: Actor, incident: Incident, browser: Any) -> None:
    row = written(me, incident)
    assert client.post(f"/postmortems/{incident.number}/submit").status_code == 302
    assert "another person publishes it" in text(client.get(f"/postmortems/{incident.number}"))
    assert client.post(f"/postmortems/{incident.number}/publish").status_code == 403
    other = browser(Role.APPROVER)
    assert other.post(f"/postmortems/{incident.number}/publish").status_code == 302
    row.refresh_from_db()
    assert row.content_hash in text(client.get(f"/postmortems/{incident.number}"))
    assert (
        client.post(f"/postmortems/{incident.number}/edit", {"version": row.version, "summary": "x"}).status_code == 409
    )
    assert client.post(f"/postmortems/{incident.number}/revise").status_code == 302


def test_causes_are_added_and_removed(client: Any, me: Actor, incident: Incident) -> None:
    row = written(me, incident)
    form = {"kind": "latent", "description": "the disk was small", "evidence_kind": "query", "evidence": "up == 0"}
    assert client.post(f"/postmortems/{incident.number}/cause", form).status_code == 302
    page = text(client.get(f"/postmortems/{incident.number}"))
    assert "the disk was small" in page
    assert "/explore?query=up%20%3D%3D%200" in page
    client.post(f"/postmortems/{incident.number}/uncause", {"cause": str(row.causes.get().pk)})
    assert not row.causes.exists()


def test_an_improvement_from_the_form_to_its_proof(
    client: Any, me: Actor, incident: Incident, telemetry_db: object
) -> None:
    written(me, incident)
    path = f"/postmortems/{incident.number}/improvements/new"
    assert "How it is proven" in text(client.get(path))
    form = {
        "title": "Warn sooner",
        "kind": "detect",
        "priority": "1",
        "owner": f"user:{me.user_id}",
        "due_on": "2026-01-05",
        "check_query": "checkout_error_ratio",
        "check_is": "< 0.05",
        "green_days": "3",
        "interval_seconds": "300",
    }
    for name, value in (("due_on", "2026-13-40"), ("owner", "user:x"), ("green_days", "²"), ("check_query", "sum(")):
        wrong = client.post(path, form | {name: value})
        assert wrong.status_code == 422
        assert "Warn sooner" in text(wrong)
    assert client.post(path, form).headers["Location"] == "/improvements/1"
    assert "Overdue" in text(client.get("/improvements?queue=overdue"))
    client.post("/improvements/1/begin")
    client.post("/improvements/1/prove")
    page = text(client.post("/improvements/1/close", follow=True))
    assert "must stay green 3 more whole days" in page
    assert client.post("/improvements/1/edit", form | {"version": "1"}).status_code == 409
    preview = text(client.get("/improvements/check", {"check_query": "up", "check_is": "> 0"}))
    assert "last seven days" in preview
    assert "unclosed left parenthesis" in text(client.get("/improvements/check", {"check_query": "sum("}))


def test_money_that_was_not_final_is_said_before_publishing(client: Any, me: Actor, incident: Incident) -> None:
    row = written(me, incident)
    path = f"/postmortems/{incident.number}"
    for final in (False, True):
        facts = row.facts | {"impact": row.facts["impact"] | {"reason": "", "final": final}, "objectives": []}
        Postmortem.objects.filter(pk=row.pk).update(facts=facts)
        page = text(client.get(path))
        assert ("not final when the facts were taken" in page) == (not final)
        assert page.count(f"{path}/prefill") == (1 if final else 2)


def test_both_incidents_say_that_it_happened_before(client: Any, me: Actor) -> None:
    shop = Shop()
    began = timezone.now() - timedelta(hours=5)
    with time_machine.travel(began + timedelta(minutes=15), tick=False):
        first = outage("CheckoutFails", shop.orders_1, at=began, key="checkout")
        proving(me, written(me, resolved(me, first)))
    # the same group comes back, long after its end
    second = outage("CheckoutFails", shop.orders_1, at=timezone.now() - timedelta(hours=1), key="checkout")
    run_jobs(timedelta())
    written(me, resolved(me, second))
    assert "Happened before, once:" in text(client.get(f"/postmortems/{second.number}"))
    page = text(client.get(f"/postmortems/{first.number}"))
    assert "It happened again:" in page
    assert "opened again: IMP-1" in page
    assert f"recurred in {second.name}" in text(client.get("/improvements/1"))
    assert "IMP-1" in text(client.get("/improvements?queue=reopened"))


def test_lists_ask_the_same_number_of_queries_however_long(
    client: Any, me: Actor, django_assert_max_num_queries: Any
) -> None:
    shop = Shop()
    for number in range(5):
        found = outage(
            "CheckoutFails", shop.orders_1, at=timezone.now() - timedelta(hours=30 - 4 * number), key=f"k{number}"
        )
        row = written(me, resolved(me, found))
        for _each in range(4):
            improvements_actions.add(actor=me, postmortem=row, draft=draft(me))
    for path in ("/postmortems", "/postmortems?state=draft", "/improvements"):
        with django_assert_max_num_queries(22):
            assert client.get(path).status_code == 200


def test_an_incident_page_may_include_the_state(client: Any, me: Actor, incident: Incident) -> None:
    with translation.override("en"):
        context = {"incident": incident, "may_respond": True}
        assert "Begin the postmortem" in render_to_string("operate/incident_postmortem.html", context)
        postmortem_actions.start(actor=me, incident=incident)
        assert f"/postmortems/{incident.number}/edit" in render_to_string("operate/incident_postmortem.html", context)
    assert Postmortem.objects.count() == 1


@given(
    st.text(max_size=80)
    | st.sampled_from(["<script>alert(1)</script>", "![x](http://a/b.png)", "<img src=x onerror=y>"])
)
def test_markdown_never_gives_what_could_run_or_load(source: str) -> None:
    html = render(source).lower()
    for word in ("<script", "<img", "<iframe", "<style", "<svg"):
        assert word not in html


@pytest.mark.parametrize(
    "source",
    [
        "[x](javascript:alert(1))",
        "[x](data:text/html,x)",
        "<javascript:alert(1)>",
        "[x](vbscript:x)",
        "[x]( JaVaScRiPt:x)",
    ],
)
def test_a_link_leads_nowhere_that_runs(source: str) -> None:
    assert "href" not in render(source)


def test_markdown_draws_what_people_use() -> None:
    html = render("# Big\n- a\n- **b**\n\n|x|y|\n|-|-|\n|1|2|\n\n[runbook](https://example.org)")
    assert "<h4>Big</h4>" in html
    assert "<strong>b</strong>" in html
    assert "<td>2</td>" in html
    assert 'rel="noopener noreferrer nofollow"' in html
