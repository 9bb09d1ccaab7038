"""How a record of a file becomes an objective (known by name) or a silence (known by id, else by its matchers)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.alerting import matchers as matching
from tongchou.alerting import silences
from tongchou.alerting.durations import parse_seconds
from tongchou.alerting.models import Objective, Silence, SilenceState
from tongchou.alerting.slo import actions, reads
from tongchou.alerting.slo.spec import Spec
from tongchou.core.access import Actor, check
from tongchou.core.lists import custom
from tongchou.core.lists.importers import Importer, ImportField, Values, each_found, register
from tongchou.core.lists.reading import moment, moment_text, number, whole_number
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.telemetry.series import Matcher

OBJECTIVE = "alerting.objective"
SILENCE = "alerting.silence"

# --- objectives -------------------------------------------------------------------------------------------------------

OBJECTIVE_FIELDS = (
    ImportField("name", _("Name"), required=True, help=_("small letters, digits and dashes")),
    ImportField("title_en", _("Title (English)")),
    ImportField("title_zh", _("Title (Chinese)")),
    ImportField("service", _("Service")),
    ImportField("error_query", _("Errors"), help=_("PromQL that counts bad events over $window")),
    ImportField("total_query", _("Events"), help=_("PromQL that counts all events over $window")),
    ImportField("target", _("Target"), help=_("a share, such as 0.999")),
    ImportField("window", _("Window"), help=_("such as 30d, or seconds; empty: 30d")),
    ImportField("min_events", _("Least events"), help=_("empty: 100")),
    ImportField("min_errors", _("Least errors"), help=_("empty: 3")),
)
TITLES = {"title_en": "en", "title_zh": "zh"}
PLAIN = ("service", "error_query", "total_query")
FIRST_WINDOW_SECONDS = 30 * 86_400
LEAST = (*PLAIN, "target")  # what a new one cannot be without


def _read_objective(_actor: Actor, record: Mapping[str, str]) -> Values:
    values: Values = {"name": record["name"].strip()}
    values |= {name: record[name].strip() for name in TITLES if name in record}
    values |= {name: record[name].strip() for name in PLAIN if record.get(name)}
    if record.get("target"):
        values["target"] = number(record["target"], "target")
    if record.get("window"):
        values["window"] = _window(record["window"].strip())
    values |= {name: whole_number(record[name], name) for name in ("min_events", "min_errors") if record.get(name)}
    return values | custom.read_cells(OBJECTIVE, record)


def _window(text: str) -> int:
    """Seconds of `30d`, or of a number of seconds, as the list's export has it."""
    try:
        return int(parse_seconds(f"{text}s" if text.isascii() and text.isdigit() else text))
    except ValueError as error:
        remedy = _("Write 30d or 12h.")
        raise Invalid("slo.window", str(error), field="window", value=text[:40], remedy=remedy) from None


def _now_objective(row: Objective) -> Values:
    return {
        "name": row.name,
        **{name: row.title.get(language, "") for name, language in TITLES.items()},
        **{name: getattr(row, name) for name in (*PLAIN, "target", "min_events", "min_errors")},
        "window": row.window_seconds,
        **custom.cells_of(row),
    }


def _spec(values: Values, row: Objective | None) -> Spec:
    """What the objective would be; Invalid when a new one lacks something."""
    if row is None:
        missing = next((name for name in LEAST if values.get(name) is None), None)
        if missing:
            raise Invalid("import.wanted", _("A new one needs it."), field=missing, remedy=_("Fill the cell."))
        base = Spec(values["name"], {}, "", "", "", 0.0, FIRST_WINDOW_SECONDS)
    else:
        base = reads.spec_of(row)
    facts = {name: values[name] for name in (*PLAIN, "target", "min_events", "min_errors") if name in values}
    if "window" in values:
        facts["window_seconds"] = values["window"]
    title = {**base.title, **{language: values[name] for name, language in TITLES.items() if name in values}}
    return replace(base, title={language: text for language, text in title.items() if text}, **facts)


def _find_objectives(_actor: Actor, many: Sequence[Values]) -> list[Any]:
    by_name = {each.name: each for each in Objective.objects.filter(name__in=[each["name"] for each in many])}

    def find(values: Values) -> Objective | None:
        row = by_name.get(values["name"])
        spec = _spec(values, row)
        if row is None or spec != reads.spec_of(row):
            actions.check_spec(spec)
        if row is None:
            custom.first_cells(OBJECTIVE, values)
        return row

    return each_found(many, find)


def _create_objective(actor: Actor, values: Values) -> Objective:
    row = actions.put_objective(actor=actor, spec=_spec(values, None))
    custom.start_cells(actor, row, OBJECTIVE, values)
    return row


def _change_objective(actor: Actor, row: Objective, values: Values) -> None:
    spec = _spec(values, row)
    if spec != reads.spec_of(row):
        actions.put_objective(actor=actor, spec=spec)
    custom.write_cells(actor, row, values)


register(
    Importer(
        OBJECTIVE,
        _("Objectives"),
        "alerting.edit",
        lambda: [*OBJECTIVE_FIELDS, *custom.import_fields(OBJECTIVE)],
        _read_objective,
        _find_objectives,
        _now_objective,
        lambda values: str(values["name"]),
        _create_objective,
        _change_objective,
        lambda actor, row: actions.delete_objective(actor=actor, name=row.name),
        lambda actor, _row: check(actor, "alerting.edit"),
        no_way_back=_("An objective's alert rules come and go with it; undone, new ones are deleted."),
        unowned=True,
    )
)

# --- silences ---------------------------------------------------------------------------------------------------------

SILENCE_FIELDS = (
    ImportField("id", _("Id"), help=_("of one that is there; empty: one with these matchers that has not ended")),
    ImportField("matchers", _("Matchers"), required=True, help='service="orders", severity=~"warning|info"'),
    ImportField("why", _("Why")),
    ImportField("starts", _("From"), help=_("empty: now")),
    ImportField("ends", _("Until"), help=_("a time, such as 2026-03-02 10:00:00")),
)
COLUMNS = {"comment": "why", "starts_at": "starts", "ends_at": "ends"}  # field of the action -> column


def _text_of(found: Sequence[Matcher]) -> str:
    """Matchers in an order of their own, so that two ways to write them compare alike."""
    return matching.text_of(sorted(found, key=str))


def _matchers_of(row: Silence) -> str:
    return _text_of([Matcher(each["name"], each["op"], each["value"]) for each in row.matchers])


def _read_silence(_actor: Actor, record: Mapping[str, str]) -> Values:
    values: Values = {"matchers": _text_of(matching.parse(record["matchers"]))}
    if record.get("id"):
        try:
            values["id"] = str(UUID(record["id"]))
        except ValueError:
            remedy = _("Leave it empty for a new one.")
            raise Invalid(
                "silence.id", _("This is no id."), field="id", value=record["id"][:80], remedy=remedy
            ) from None
    if "why" in record:
        values["why"] = record["why"].strip()
    starts, ends = moment(record.get("starts", ""), "starts"), moment(record.get("ends", ""), "ends")
    if starts is not None and ("id" in values or starts > timezone.now()):
        values["starts"] = starts.isoformat()  # one that should have begun already begins now
    if ends is not None:
        values["ends"] = ends.isoformat()
    return values


def _now_silence(row: Silence) -> Values:
    return {
        "id": str(row.pk),
        "matchers": _matchers_of(row),
        "why": row.comment,
        "starts": moment_text(row.starts_at),
        "ends": moment_text(row.ends_at),
    }


def _find_silences(_actor: Actor, many: Sequence[Values]) -> list[Any]:
    now = timezone.now()
    by_id = {str(row.pk): row for row in Silence.objects.filter(pk__in=[each["id"] for each in many if each.get("id")])}
    by_text: dict[str, list[Silence]] = {}
    for row in silences.silences(now=now).filter(ends_at__gt=now):
        by_text.setdefault(_matchers_of(row), []).append(row)

    def find(values: Values) -> Silence | None:
        try:
            return _meant(values, by_id, by_text.get(values["matchers"], []), now)
        except Problem as problem:
            problem.field = COLUMNS.get(problem.field or "", problem.field)
            raise

    return each_found(many, find)


def _meant(values: Values, by_id: Mapping[str, Silence], same: Sequence[Silence], now: datetime) -> Silence | None:
    """The silence a record means, None for a new one that may be made; Problem otherwise."""
    if values.get("id"):
        row = by_id.get(values["id"])
        if row is None:
            raise NotFound(
                "silence.unknown",
                _("There is no such silence."),
                field="id",
                value=values["id"],
                remedy=_("Leave the id empty for a new one."),
            )
    elif len(same) > 1:
        detail, remedy = _("Several silences have these matchers."), _("Say which by its id.")
        raise Conflict("import.ambiguous", detail, field="matchers", value=values["matchers"][:200], remedy=remedy)
    elif same:
        row = same[0]
    else:
        if "ends" not in values:
            raise Invalid("import.wanted", _("A new one needs it."), field="ends", remedy=_("Fill the cell."))
        silences.check_comment(values.get("why", ""))
        starts = datetime.fromisoformat(values["starts"]) if "starts" in values else None
        silences.check_times(starts, datetime.fromisoformat(values["ends"]), now)
        return None
    _refuse_unless_same(row, values, now)
    return row


def _refuse_unless_same(row: Silence, values: Values, now: datetime) -> None:
    """Problem when the record asks of a silence what cannot be: only why and until may change, and before its end."""
    was = _now_silence(row)
    differs = [name for name in values if values[name] != was[name]]
    if not differs:
        return
    fixed = [name for name in differs if name in ("matchers", "starts")]
    if fixed or row.state_at(now) == SilenceState.EXPIRED:
        raise Conflict(
            "import.no_change",
            _("A silence keeps its matchers and its start.") if fixed else _("This silence has ended."),
            field=(fixed or differs)[0],
            value=values[(fixed or differs)[0]],
            remedy=_("Leave the id empty to make a new one."),
        )
    if "ends" in differs:
        silences.check_times(row.starts_at, datetime.fromisoformat(values["ends"]), now)
    if "why" in differs:
        silences.check_comment(values["why"])


def _create_silence(actor: Actor, values: Values) -> Silence:
    return silences.create_silence(
        actor=actor,
        matchers=matching.parse(values["matchers"]),
        starts_at=datetime.fromisoformat(values["starts"]) if "starts" in values else None,
        ends_at=datetime.fromisoformat(values["ends"]),
        comment=values.get("why", ""),
    )


def _change_silence(actor: Actor, row: Silence, values: Values) -> None:
    ends = datetime.fromisoformat(values["ends"]) if "ends" in values else row.ends_at
    silences.extend_silence(actor=actor, silence_id=row.pk, ends_at=ends, comment=values.get("why"))


register(
    Importer(
        SILENCE,
        _("Silences"),
        "alerting.respond",
        lambda: SILENCE_FIELDS,
        _read_silence,
        _find_silences,
        _now_silence,
        lambda values: str(values["matchers"]),
        _create_silence,
        _change_silence,
        lambda actor, row: silences.expire_silence(actor=actor, silence_id=row.pk),
        lambda actor, _row: check(actor, "alerting.respond"),
        no_way_back=_("Undone, new silences end at once; one that has ended since is not begun again."),
        unowned=True,
    )
)
