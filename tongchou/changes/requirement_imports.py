"""How a record of a file becomes a requirement, or changes one. Known by number, else by title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.dateparse import parse_date
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.changes import requirement_actions as actions
from tongchou.changes import requirement_reads as reads
from tongchou.changes import stated
from tongchou.changes.models_requirements import OPEN_TO_EDIT, DataClass, Requirement
from tongchou.changes.requirement_draft import Draft, good
from tongchou.core.access import Actor, check
from tongchou.core.lists import custom
from tongchou.core.lists.importers import Importer, ImportField, Values, check_row, each_found, register
from tongchou.core.lists.reading import whole_number
from tongchou.core.models import Team, User
from tongchou.core.problems import Conflict, Invalid, NotFound

KIND, EDIT, TEAM = "changes.requirement", "changes.edit", "team:"
FIELDS = (
    ImportField("number", _("Number"), help=_("of one that is there; empty: known by its title")),
    ImportField("title", _("Requirement"), required=True),
    ImportField("need", _("Business need")),
    ImportField("drivers", _("Drivers"), help=_("several by semicolons")),
    ImportField("owner", pgettext_lazy("requirement", "Owner"), help=_("a user name, or team: and a team's name")),
    ImportField("wanted", _("Wanted by"), help=_("a day, such as 2026-03-01")),
    ImportField("budget", _("Budget"), help=_("an amount; its currency stands in a column of its own")),
    ImportField("currency", _("Currency"), help="CNY, EUR, USD"),
    ImportField("slo", _("Availability wanted"), help="99.9"),
    ImportField("rto", "RTO", help=_("minutes")),
    ImportField("rpo", "RPO", help=_("minutes")),
    ImportField("data", _("Class of data"), help=", ".join(DataClass.values)),
    ImportField("mlps", _("MLPS level"), help="1-5"),
)
NUMBERS = {"rto": "rto_minutes", "rpo": "rpo_minutes", "mlps": "mlps_level"}  # column -> field of the draft
DECIMALS = {"budget": ("budget", stated.MONEY), "slo": ("slo_percent", (Decimal(100), 6))}


def _read(_actor: Actor, record: Mapping[str, str]) -> Values:
    values: Values = {"title": record.get("title", "").strip()}
    if not values["title"]:
        raise Invalid("import.wanted", _("It is required and may not be empty."), field="title")
    if record.get("number"):
        values["number"] = whole_number(record["number"].upper().removeprefix("REQ-"), "number")
    values |= {name: record[name].strip() for name in ("need", "owner") if name in record}
    if "drivers" in record:
        texts = record["drivers"].replace("；", ";").split(";")
        values["drivers"] = [each.strip() for each in texts if each.strip()]
    if "wanted" in record:
        values["wanted"] = _day(record["wanted"])
    if "currency" in record:
        values["currency"] = record["currency"].strip().upper()
    if "data" in record:
        values["data"] = record["data"].strip().lower()
    for name in NUMBERS:
        if name in record:
            values[name] = whole_number(record[name], name) if record[name].strip() else None
    for name, (_field, limits) in DECIMALS.items():
        if name in record:
            values[name] = stated.plain(stated.decimal(record[name].strip().removesuffix("%"), name, limits))
    return values | custom.read_cells(KIND, record)


def _day(text: str) -> str:
    text = text.partition("T")[0].strip()  # a spreadsheet has a day as midnight
    if not text:
        return ""
    try:
        found = parse_date(text)
    except ValueError:
        found = None
    if found is None:
        remedy = _("Write it like 2026-03-01.")
        raise Invalid("design.invalid", _("A day is wanted."), field="wanted", value=text[:40], remedy=remedy)
    return found.isoformat()


def _owner_of(row: Requirement) -> str:
    return row.owner.username if row.owner else f"{TEAM}{row.owner_team.name}" if row.owner_team else ""


def _now(row: Requirement) -> Values:
    return {
        "number": row.number,
        "title": row.title,
        "need": row.need,
        "drivers": row.drivers,
        "owner": _owner_of(row),
        "wanted": row.wanted_on.isoformat() if row.wanted_on else "",
        "currency": row.currency,
        "data": row.data_class,
        **{column: getattr(row, field) for column, field in NUMBERS.items()},
        **{column: stated.plain(getattr(row, field)) for column, (field, _limits) in DECIMALS.items()},
        **custom.cells_of(row),
    }


def _facts(values: Mapping[str, Any], row: Requirement | None) -> dict[str, Any]:
    """The values as fields of a draft; a person keeps the team of the row, a team its person."""
    facts: dict[str, Any] = {name: values[name] for name in ("title", "need", "drivers", "currency") if name in values}
    if "wanted" in values:
        facts["wanted_on"] = date.fromisoformat(values["wanted"]) if values["wanted"] else None
    if "data" in values:
        facts["data_class"] = values["data"]
    facts |= {field: values[column] for column, field in NUMBERS.items() if column in values}
    facts |= {field: values[column] for column, (field, _limits) in DECIMALS.items() if column in values}
    if values.get("owner") and (row is None or values["owner"] != _owner_of(row)):
        facts |= _owner(values["owner"])
    return facts


def _owner(text: str) -> dict[str, Any]:
    if text.startswith(TEAM):
        team = Team.objects.filter(name=text.removeprefix(TEAM)).first()
        found: dict[str, Any] = {"owner_team": team.pk if team else None}
    else:
        person = User.objects.filter(username=text, is_active=True).first()
        found = {"owner": person.pk if person else None}
    if None in found.values():
        raise Invalid(
            "design.unknown",
            _("There is no such person or team."),
            field="owner",
            value=text[:150],
            remedy=_("Write a user name, or team: and a team's name."),
        )
    return found


def _find(actor: Actor, many: Sequence[Values]) -> list[Any]:
    rows = reads.requirements(actor)
    numbers = [each["number"] for each in many if each.get("number")]
    by_number = {each.number: each for each in rows.filter(number__in=numbers)}
    by_title: dict[str, list[Requirement]] = {}
    for each in rows.filter(title__in=[each["title"] for each in many if not each.get("number")]):
        by_title.setdefault(each.title, []).append(each)

    def find(values: Values) -> Requirement | None:
        number, same = values.get("number"), by_title.get(values["title"], [])
        if number and number not in by_number:
            raise NotFound(
                "requirement.unknown",
                _("There is no requirement of this number, or it is not yours to see."),
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
        row = by_number[number] if number else same[0] if same else None
        _would_do(actor, row, values)
        return row

    return each_found(many, find)


def _would_do(actor: Actor, row: Requirement | None, values: Values) -> None:
    """Raise what the action would: the plan of an import says it before anything is written."""
    try:
        if row is None:
            draft = good(Draft(**_facts(values, None)))
            check(actor, EDIT, team=draft.owner_team)
            custom.first_cells(KIND, values)
            return
        before = reads.draft_of(row)
        if good(replace(before, **_facts(values, row))) != before and row.state not in OPEN_TO_EDIT:
            raise actions.wrong_state(
                row, _("What was decided, or is over, is not edited."), _("Take it up again first.")
            )
    except Invalid as problem:
        known = {**NUMBERS, "budget": "budget", "slo": "slo_percent", "wanted": "wanted_on", "data": "data_class"}
        problem.field = next((column for column, field in known.items() if field == problem.field), problem.field)
        raise


def _create(actor: Actor, values: Values) -> Requirement:
    row = actions.add(actor=actor, draft=Draft(**_facts(values, None)))
    custom.start_cells(actor, row, KIND, values)
    return row


def _change(actor: Actor, row: Requirement, values: Values) -> None:
    draft = replace(reads.draft_of(row), **_facts(values, row))
    if good(draft) != reads.draft_of(row):
        actions.change(actor=actor, requirement=row, version=row.version, draft=draft)
    custom.write_cells(actor, row, values)


register(
    Importer(
        KIND,
        _("Requirements"),
        EDIT,
        lambda: [*FIELDS, *custom.import_fields(KIND)],
        _read,
        _find,
        _now,
        lambda values: values["title"],
        _create,
        _change,
        lambda actor, row: actions.remove(actor=actor, requirement=row),
        check_row(EDIT),
        no_way_back=_("Undone, new ones are removed unless their review has begun."),
    )
)
