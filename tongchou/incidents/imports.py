"""How a record of a file becomes an improvement, or changes one. Known by number, else by incident and title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from django.utils.dateparse import parse_date
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.core.access import Actor
from tongchou.core.lists import custom
from tongchou.core.lists.importers import Importer, ImportField, Values, check_row, each_found, register
from tongchou.core.lists.reading import whole_number
from tongchou.core.models import Team, User
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.incidents import improvements_actions as actions
from tongchou.incidents import postmortem_reads
from tongchou.incidents.actions import check_respond
from tongchou.incidents.improvements_draft import Draft, refuse_unless_good
from tongchou.incidents.models import ENDED, Improvement, ImprovementKind, Postmortem, Priority

KIND = "incidents.improvement"
RESPOND = "incidents.respond"
TEAM = "team:"

FIELDS = (
    ImportField("number", _("Number"), help=_("of one that is there; empty: known by incident and title")),
    ImportField("incident", _("Incident"), required=True, help=_("the number of an incident that has a postmortem")),
    ImportField("title", _("Improvement"), required=True),
    ImportField("kind", _("Kind"), help=", ".join(ImprovementKind.values)),
    ImportField("priority", _("Priority"), help=", ".join(Priority.values)),
    ImportField("owner", pgettext_lazy("improvement", "Owner"), help=_("a user name, or team: and a team's name")),
    ImportField("due", _("Due"), help=_("a day, such as 2026-03-01")),
    ImportField("details", _("Details")),
    ImportField("check_query", _("Check"), help=_("a PromQL query that shows that it works")),
    ImportField("check_is", _("Condition"), help=_("what its result has to be")),
    ImportField("green_days", _("Green days"), help=_("how many days the check has to hold")),
    ImportField("interval", _("Looked at every"), help=_("seconds")),
    ImportField("no_check_reason", _("Why there is no check"), help=_("wanted where there is no query")),
)
TEXTS = ("title", "details", "check_query", "check_is", "no_check_reason")
WORDS = ("kind", "priority")
NUMBERS = {"green_days": "green_days", "interval": "interval_seconds"}  # column -> field of the draft
LEAST = ("kind", "owner", "due")  # what a new one cannot be without


def _read(_actor: Actor, record: Mapping[str, str]) -> Values:
    values: Values = {"incident": whole_number(record["incident"].removeprefix("#"), "incident")}
    if values["incident"] is None:
        raise Invalid("import.incident", _("The number of an incident is wanted."), field="incident")
    if record.get("number"):
        values["number"] = whole_number(record["number"], "number")
    values |= {name: record[name].strip() for name in TEXTS if name in record}
    values |= {name: record[name].strip().lower() for name in WORDS if record.get(name)}
    values |= {name: whole_number(record[name], name) for name in NUMBERS if record.get(name)}
    if values.get("check_query") and "no_check_reason" in values:
        values["no_check_reason"] = ""
    if record.get("due"):
        values["due"] = _day(record["due"])
    if record.get("owner"):
        values["owner"] = record["owner"].strip()
    return values | custom.read_cells(KIND, record, values.get("kind"))


def _day(text: str) -> str:
    try:
        found = parse_date(text.partition("T")[0].strip())  # a spreadsheet has a day as midnight
    except ValueError:
        found = None
    if found is None:
        remedy = _("Write it like 2026-03-01.")
        raise Invalid("improvement.due", _("A day is wanted."), field="due", value=text[:40], remedy=remedy)
    return found.isoformat()


def _refuse_unless_owner(text: str) -> None:
    """Invalid but for a user name, or `team:` and a team's name, as the list shows an owner.

    Not of a row that stays as it is: whoever is called by it may be kept out by now.
    """
    if text.startswith(TEAM):
        there = Team.objects.filter(name=text.removeprefix(TEAM)).exists()
    else:
        there = User.objects.filter(username=text, is_active=True).exists()
    if not there:
        raise Invalid(
            "improvement.owner",
            _("There is no such person or team."),
            field="owner",
            value=text[:150],
            remedy=_("Write a user name, or team: and a team's name."),
        )


def _owner_of(row: Improvement) -> str | None:
    return row.owner.username if row.owner else f"{TEAM}{row.owner_team.name}" if row.owner_team else None


def _now(row: Improvement) -> Values:
    return {
        "number": row.number,
        "incident": row.postmortem.incident.number,
        **{name: getattr(row, name) for name in (*TEXTS, *WORDS)},
        **{column: getattr(row, field) for column, field in NUMBERS.items()},
        "owner": _owner_of(row),
        "due": row.due_on.isoformat(),
        **custom.cells_of(row),
    }


def _facts(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as fields of a draft; owners by their ids."""
    facts: dict[str, Any] = {name: values[name] for name in (*TEXTS, *WORDS) if name in values}
    facts |= {field: values[column] for column, field in NUMBERS.items() if column in values}
    if values.get("due"):
        facts["due_on"] = date.fromisoformat(values["due"])
    if values.get("owner"):
        name = values["owner"]
        team = Team.objects.filter(name=name.removeprefix(TEAM)).first() if name.startswith(TEAM) else None
        person = None if name.startswith(TEAM) else User.objects.filter(username=name).first()
        facts |= {"owner": person.pk if person else None, "owner_team": team.pk if team else None}
    return facts


def _drafted(values: Values) -> Draft:
    """A new one's draft; Invalid for the first field that it lacks or that will not do."""
    missing = next((name for name in LEAST if not values.get(name)), None)
    if missing:
        raise Invalid("import.wanted", _("A new one needs it."), field=missing, remedy=_("Fill the cell."))
    return Draft(**_facts(values))


def _find(actor: Actor, many: Sequence[Values]) -> list[Any]:
    incidents = {each["incident"] for each in many}
    postmortems = {
        each.incident.number: each
        for each in postmortem_reads.visible(actor).filter(incident__number__in=incidents).defer("facts", "marks")
    }
    rows = postmortem_reads.improvements(actor)
    numbers = [each["number"] for each in many if each.get("number")]
    by_number = {each.number: each for each in rows.filter(number__in=numbers)}
    titles = [each["title"] for each in many if not each.get("number")]
    by_title: dict[tuple[int, str], list[Improvement]] = {}
    for each in rows.filter(postmortem__incident__number__in=incidents, title__in=titles):
        by_title.setdefault((each.postmortem.incident.number, each.title), []).append(each)
    return each_found(many, lambda values: _meant(actor, values, postmortems, by_number, by_title))


def _meant(
    actor: Actor,
    values: Values,
    postmortems: Mapping[int, Postmortem],
    by_number: Mapping[int, Improvement],
    by_title: Mapping[tuple[int, str], Sequence[Improvement]],
) -> Improvement | None:
    """The improvement a record means, None for a new one that may be made; Problem otherwise."""
    number, same = values.get("number"), by_title.get((values["incident"], values["title"]), ())
    if number and number not in by_number:
        raise NotFound(
            "improvement.unknown",
            _("There is no improvement of this number, or it is not yours to see."),
            field="number",
            value=number,
            remedy=_("Leave the number empty for a new one."),
        )
    if not number and len(same) > 1:
        raise Conflict(
            "import.ambiguous",
            _("Several are called so."),
            field="title",
            value=values["title"][:200],
            remedy=_("Say which by its number."),
        )
    if number or same:
        return _there(actor, by_number[number] if number else same[0], values)
    postmortem = postmortems.get(values["incident"])
    if postmortem is None:
        raise NotFound(
            "import.incident",
            _("There is no postmortem of this incident, or it is not yours to see."),
            field="incident",
            value=values["incident"],
            remedy=_("Begin the postmortem on the incident's page first."),
        )
    check_respond(actor, postmortem.incident)
    draft = _drafted(values)
    _refuse_unless_owner(values["owner"])
    refuse_unless_good(draft)
    if draft.check_query:
        actions.refuse_unless_reader(actor)
    custom.first_cells(KIND, values, draft.kind)
    return None


def _there(actor: Actor, row: Improvement, values: Values) -> Improvement:
    """One that is there, when what the record says may be written to it."""
    if row.postmortem.incident.number != values["incident"]:
        raise Conflict(
            "import.incident_stays",
            _("An improvement keeps its incident."),
            field="incident",
            value=values["incident"],
            remedy=_("It is of incident %(number)s.") % {"number": row.postmortem.incident.number},
        )
    before = actions.draft_of(row)
    draft = replace(before, **_facts(values))
    if draft != before:
        if row.state in ENDED:
            raise actions.wrong_state(row, _("It is over already."), _("Reopen it to change it."))
        _refuse_unless_owner(values.get("owner") or _owner_of(row) or "")
        refuse_unless_good(draft)
        if draft.check_query and draft.check != before.check:
            actions.refuse_unless_reader(actor)
    return row


def _create(actor: Actor, values: Values) -> Improvement:
    postmortem = postmortem_reads.visible(actor).get(incident__number=values["incident"])
    draft = _drafted(values)
    row = actions.add(actor=actor, postmortem=postmortem, draft=draft)
    custom.start_cells(actor, row, KIND, values, draft.kind)
    return row


def _change(actor: Actor, row: Improvement, values: Values) -> None:
    draft = replace(actions.draft_of(row), **_facts(values))
    if draft != actions.draft_of(row):
        actions.change(actor=actor, improvement=row, version=row.version, draft=draft)
    custom.write_cells(actor, row, values)


register(
    Importer(
        KIND,
        _("Improvements"),
        RESPOND,
        lambda: [*FIELDS, *custom.import_fields(KIND)],
        _read,
        _find,
        _now,
        lambda values: f"#{values['incident']} {values['title']}",
        _create,
        _change,
        lambda actor, row: actions.remove(actor=actor, improvement=row),
        check_row(RESPOND),
        no_way_back=_("Undone, new ones are removed unless somebody began them."),
    )
)
