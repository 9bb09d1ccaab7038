"""The pages of requirements, options, decision records and scorecards, walked as a person walks them."""

from __future__ import annotations

from typing import Any

from tests.conftest import make_user
from tongchou.changes import availability, outline, requirement_actions
from tongchou.changes.models_control import Change
from tongchou.changes.models_requirements import Decision, Option, Requirement, Scorecard
from tongchou.core import approvals
from tongchou.core.access import actor_for_user, system
from tongchou.core.models import Approval, Role, User
from tongchou.inventory import actions as inventory
from tongchou.web.structure_svg import picture

SYSTEM = system("tests")
WEB = "series: shop\n  parallel: web, beta 5%\n    web x2 | 99% | vendor: sheet\n  db | 99.99% | assumption: like now"
WANTED = {"title": "Sale", "need": "Orders *triple*", "drivers": "campaign\nlaw", "budget": "1000", "currency": "CNY",
          "budget_months": "12", "slo_percent": "99.9", "load-0-metric": "orders", "load-0-unit": "/s",
          "load-0-value": "", "load-0-baseline": "100", "load-0-uplift_percent": "50"}  # fmt: skip
OPTION = {"name": "two <servers>", "structure": WEB, "capex": "600", "source_capex": "offer 12", "currency": "CNY",
          "resources-0-name": "web", "resources-0-kind": "host", "resources-0-count": "2", "resources-0-role": "active",
          "changes-0-title": "Add a server", "risks-0-risk": "late", "risks-0-likelihood": "2", "risks-0-impact": "4",
          "risks-1-risk": "", "risks-1-likelihood": "1", "risks-1-impact": "1"}  # fmt: skip


def text(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.content[:2000]
    found: str = response.content.decode()
    return found


def written(client: Any, **more: str) -> Requirement:
    assert client.post("/requirements/new", {**WANTED, **more}).status_code == 302
    return Requirement.objects.latest("number")


def test_a_requirement_walks_from_a_draft_to_a_decision(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    assert "No requirement in this list" in text(client.get("/requirements"))
    row = written(client, owner=client.user.username)
    at = f"/requirements/{row.number}"
    page = text(client.get(at))
    assert "<em>triple</em>" in page
    assert "150" in page
    assert client.post(f"{at}/options/new", {**OPTION, "do": "save"}).status_code == 302
    page = text(client.get(at))
    assert "two &lt;servers&gt;" in page
    assert "offer 12" in page
    assert 'class="structure"' in page
    assert client.post(f"{at}/submit").status_code == 302
    told = text(client.post(f"{at}/request-acceptance", follow=True))
    assert "8 questions of the review" in told
    row.refresh_from_db()
    assert client.post(f"{at}/answer", {f"answer-{n}": "yes" for n in range(8)}).status_code == 302
    client.post(f"{at}/request-acceptance")
    row.refresh_from_db()
    approval = Approval.objects.get(pk=row.approval_id)
    boss = browser(make_user("boss", Role.APPROVER))
    assert row.name in text(boss.get("/approvals"))
    approvals.approve(actor=actor_for_user(boss.user), approval=approval)
    requirement_actions.acceptance_decided(approval=approval)
    assert "Choose" in text(client.get(at))
    option = Option.objects.get()
    assert client.post(f"/options/{option.pk}/choose", {"decision": "Two of them"}).status_code == 302
    made = Decision.objects.get()
    record = text(client.get(f"/decisions/{made.number}"))
    assert "Two of them" in record
    assert made.content_hash in record
    assert made.name in text(client.get(at))
    assert made.name in text(client.get("/decisions"))
    assert "Add a server" in text(client.get(at))
    assert "not ended" in text(client.post(f"{at}/done", {"note": "built"}, follow=True))
    [change] = Change.objects.all()
    assert f"{change.name} was made: Add a server" in text(client.get(at))  # its way is a part of the requirement's
    Change.objects.update(state="closed")
    assert client.post(f"{at}/done", {"note": "built"}).status_code == 302
    assert "built" in text(client.get(at))


def test_an_edit_of_an_accepted_one_is_told_to_lose_its_acceptance(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    row = written(client)
    Requirement.objects.filter(pk=row.pk).update(state="accepted")
    assert "sends it back to review" in text(client.get(f"/requirements/{row.number}/edit"))
    answer = client.post(f"/requirements/{row.number}/edit", {**WANTED, "title": "Sales", "version": "1"}, follow=True)
    assert "so it is in review again" in text(answer)


def test_what_a_form_lacks_is_told_with_what_was_written(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    page = text(client.post("/requirements/new", {**WANTED, "budget": "much"}), 422)
    assert "much" in page
    assert "orders" in page
    row = written(client)
    page = text(client.post(f"/requirements/{row.number}/options/new", {**OPTION, "source_capex": ""}), 422)
    assert "Purchase: Source" in page
    page = text(client.post(f"/requirements/{row.number}/options/new", {**OPTION, "resources-0-kind": ""}), 422)
    assert "Resources 1, Kind" in page
    assert '<select class="select" name="resources-0-kind" aria-invalid="true"' in page
    assert "Add a server" in page
    page = text(client.post(f"/requirements/{row.number}/edit", {**WANTED, "version": "9"}), 409)
    assert "meanwhile" in page


def test_a_structure_is_tried_and_proposed_and_nothing_is_kept(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    row = written(client)
    at = f"/requirements/{row.number}/options/new"
    page = text(client.post(at, {**OPTION, "do": "try"}))
    minutes = availability.answer(outline.read(WEB)).minutes  # type: ignore[arg-type]  # it is an outline
    assert f"{minutes:,.1f}" in page
    assert "Outline 1" in text(client.post(at, {**OPTION, "structure": "what", "do": "try"}), 422)
    shop = inventory.create_resource(actor=SYSTEM, kind="service", name="shop")
    assert "shop | ?" in text(client.post(at, {**OPTION, "do": "propose", "resource": str(shop.pk)}))
    assert not Option.objects.exists()


def test_an_existing_resource_is_named_as_the_inventory_names_it(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    row = written(client)
    at = f"/requirements/{row.number}/options/new"
    host = inventory.create_resource(actor=SYSTEM, kind="host", name="web-1")
    inventory.create_resource(actor=SYSTEM, kind="service", name="web-1")
    named = {**OPTION, "resources-0-name": "", "resources-0-kind": "", "do": "save"}
    assert "Resources 1, Existing one" in text(client.post(at, {**named, "resources-0-existing": "host/web-9"}), 422)
    assert "several" in text(client.post(at, {**named, "resources-0-existing": "web-1"}), 422)
    assert client.post(at, {**named, "resources-0-existing": "host/web-1"}).status_code == 302
    option = Option.objects.get()
    assert option.resources[0]["existing"] == str(host.pk)
    assert f'<a href="/resources/{host.pk}">web-1</a>' in text(client.get(f"/requirements/{row.number}"))
    form = text(client.get(f"/options/{option.pk}"))
    assert 'value="host/web-1"' in form
    assert str(host.pk) not in form


def test_a_page_that_waits_for_a_decision_is_loaded_anew_once_it_came(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    row = written(client)
    at = f"/requirements/{row.number}?part=news&state=draft"
    assert "HX-Refresh" not in client.get(at).headers
    Requirement.objects.update(state="in_review")
    assert client.get(at).headers["HX-Refresh"] == "true"


def test_people_are_asked_on_the_page_and_answer_there(browser: Any) -> None:
    client, other = browser(Role.OPERATOR), browser(make_user("asked", Role.VIEWER))
    row = written(client)
    at = f"/requirements/{row.number}"
    assert "There is no such person" in text(client.post(f"{at}/ask", {"user": "nobody"}, follow=True))
    client.post(f"{at}/ask", {"user": "asked"})
    assert "What you think of it" in text(other.get(at))
    other.post(f"{at}/say", {"answer": "no", "comment": "too soon"})
    assert "too soon" in text(client.get(at))
    assert "Begin the review" not in text(other.get(at))
    assert text(other.post(f"{at}/submit"), 403)


def test_a_draft_is_removed_and_a_withdrawn_one_taken_up(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    row = written(client)
    client.post(f"/requirements/{row.number}/withdraw", {"note": "no money"})
    assert "no money" in text(client.get(f"/requirements/{row.number}"))
    client.post(f"/requirements/{row.number}/reopen", {"note": "there is some"})
    assert client.post(f"/requirements/{row.number}/remove").status_code == 302
    assert not Requirement.objects.exists()
    assert client.post(f"/requirements/{row.number}/burn").status_code == 404


def test_a_scorecard_is_written_scored_and_says_how_firm_its_winner_stands(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    form = {"title": "Database", "criteria-0-name": "cost", "criteria-0-weight": "3", "criteria-1-name": "fit",
            "criteria-1-weight": "1", "candidates": "A\nB"}  # fmt: skip
    client.post("/scorecards/new", form)
    card = Scorecard.objects.get()
    assert "4 scores are missing" in text(client.get(f"/scorecards/{card.number}"))
    scores = {"score-0-0": "4", "score-0-1": "2", "score-1-0": "2", "score-1-1": "5", "note-1-1": "made for it"}
    client.post(f"/scorecards/{card.number}/edit", {**form, **scores, "version": "1"})
    page = text(client.get(f"/scorecards/{card.number}"))
    for words in ("Best: A", "from 1.5, however large", "from 0 to 2", "made for it"):
        assert words in page
    assert "made for it" in text(client.get(f"/scorecards/{card.number}/edit"))
    tied = {**scores, "score-0-0": "2", "score-1-0": "5"}
    client.post(f"/scorecards/{card.number}/edit", {**form, **tied, "version": "2"})
    assert "A tie: A, B" in text(client.get(f"/scorecards/{card.number}"))
    client.post(f"/scorecards/{card.number}/remove")
    assert not Scorecard.objects.exists()


def test_a_record_is_proposed_accepted_and_superseded_on_its_pages(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    client.post("/decisions/new", {"title": "Use PostgreSQL"})
    first = Decision.objects.get()
    assert "This may not be empty" in text(client.post(f"/decisions/{first.number}/accept", follow=True))
    client.post(f"/decisions/{first.number}/edit", {"title": "Use PG", "decision": "Yes", "version": "1"})
    client.post(f"/decisions/{first.number}/accept")
    form = text(client.get(f"/decisions/new?supersedes={first.pk}"))
    assert f'value="{first.pk}" selected' in form
    client.post("/decisions/new", {"title": "Use MySQL", "decision": "Yes", "supersedes": str(first.pk)})
    second = Decision.objects.latest("number")
    client.post(f"/decisions/{second.number}/accept")
    assert "Superseded by" in text(client.get(f"/decisions/{first.number}"))
    client.post(f"/decisions/{second.number}/deprecate", {"note": "over"})
    second.refresh_from_db()
    assert second.status == "deprecated"


def test_the_pages_are_chinese_for_who_reads_chinese(browser: Any) -> None:
    client = browser(Role.OPERATOR, "zh-hans")
    row = written(client)
    client.post(f"/requirements/{row.number}/submit")
    page = text(client.get(f"/requirements/{row.number}"))
    for words in ("业务语言", "评审", "方案"):
        assert words in page
    assert "Decision records" not in text(client.get("/decisions"))


def test_a_viewer_sees_and_changes_nothing(browser: Any) -> None:
    row = written(browser(Role.OPERATOR))
    viewer = browser(Role.VIEWER)
    assert "Edit" not in text(viewer.get(f"/requirements/{row.number}"))
    assert viewer.get("/requirements/new").status_code == 403
    assert viewer.post(f"/requirements/{row.number}/withdraw", {"note": "x"}).status_code == 403
    assert User.objects.count() == 2


def test_a_picture_holds_every_part_once_inside_its_frame() -> None:
    node = outline.read(WEB + "\n  standby: q, detect 1s, switch 2s, failover fails 1%\n    a | ? |\n    b | ? |")
    assert node is not None
    drawn = picture(node, "web")
    assert [box.name for box in drawn.boxes] == ["web ×2", "db", "a", "b"]
    assert [box.tone for box in drawn.boxes] == ["weak", "", "unknown", "unknown"]
    for box in drawn.boxes:
        assert 0 <= box.x <= drawn.width - box.width
        assert 0 <= box.y <= drawn.height - box.height
    spots = sorted((box.x, box.y) for box in drawn.boxes)
    assert len(set(spots)) == len(spots)
    assert any(wire.dashed for wire in drawn.wires)


def test_the_number_of_questions_to_the_database_does_not_grow(
    browser: Any, django_assert_max_num_queries: Any
) -> None:
    client = browser(Role.OPERATOR)
    for number in range(12):
        row = written(client, title=f"Sale {number}", owner=client.user.username)
    for number in range(6):
        client.post(f"/requirements/{row.number}/options/new", {**OPTION, "name": f"option {number}", "do": "save"})
    for path, most in (("/requirements", 24), (f"/requirements/{row.number}", 34), ("/decisions", 22)):
        client.get(path)
        with django_assert_max_num_queries(most):
            text(client.get(path))
