"""What a person may say about a requirement, what is wrong with it, and what an acceptance is bound to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from tongchou.changes import stated
from tongchou.changes.models_requirements import DataClass
from tongchou.core.problems import Invalid
from tongchou.runbooks.definition import canonical_hash

LOAD = ("metric", "unit", "value", "baseline", "uplift_percent")
MAX_DRIVERS, MAX_SERVICES = 20, 50
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 1, 1)
MLPS = (1, 5)  # levels of GB/T 22239


@dataclass(frozen=True)
class Draft:
    """See models_requirements.Requirement. `owner`, `owner_team`, `services` are ids."""

    title: str
    need: str = ""
    drivers: list[str] = field(default_factory=list)
    wanted_on: date | None = None
    owner: UUID | None = None
    owner_team: UUID | None = None
    load: list[dict[str, Any]] = field(default_factory=list)
    budget: Decimal | str | None = None
    currency: str = ""
    budget_months: int | str | None = 12
    services: list[UUID] = field(default_factory=list)
    slo_percent: Decimal | str | None = None
    rto_minutes: int | str | None = None
    rpo_minutes: int | str | None = None
    data_class: str = ""
    mlps_level: int | str | None = None


def unseen(field: str, value: Any) -> Invalid:
    """Return the refusal of what does not exist, or is not for the eyes of who names it: the two are told alike."""
    return Invalid(
        "design.unknown",
        _("There is no such thing, or you may not see it."),
        field=field,
        value=str(value),
        remedy=_("Choose one that you can open."),
    )


def good(draft: Draft) -> Draft:
    """Return the draft with every value read; Invalid for the first field that will not do."""
    drivers = [stated.text(each, "drivers", most=500) for each in draft.drivers]
    drivers = [each for each in drivers if each]
    if len(drivers) > MAX_DRIVERS:
        raise stated.refuse("drivers", len(drivers), _("At most %(most)s.") % {"most": MAX_DRIVERS})
    if draft.wanted_on is not None and not FIRST_DAY <= draft.wanted_on <= LAST_DAY:
        raise stated.refuse("wanted_on", draft.wanted_on, _("This is no day to work towards."))
    if len(set(draft.services)) > MAX_SERVICES:
        raise stated.refuse("services", len(draft.services), _("At most %(most)s.") % {"most": MAX_SERVICES})
    if draft.data_class and draft.data_class not in DataClass.values:
        raise stated.refuse(
            "data_class", draft.data_class, _("One of: %(words)s.") % {"words": ", ".join(DataClass.values)}
        )
    budget = stated.decimal(draft.budget, "budget", stated.MONEY)
    slo = stated.decimal(draft.slo_percent, "slo_percent", (Decimal(100), 6))
    if slo is not None and slo <= 0:
        raise stated.refuse("slo_percent", slo, _("A target is above 0 and below 100 %."), _("Write it like 99.9."))
    months = stated.whole(draft.budget_months, "budget_months", 0, 120)
    return replace(
        draft,
        title=stated.text(draft.title, "title", most=200, wanted=True),
        need=stated.text(draft.need, "need"),
        drivers=drivers,
        load=[_load(row, f"load[{n}]") for n, row in enumerate(stated.rows(draft.load, "load", LOAD))],
        budget=budget,
        currency=stated.currency(draft.currency, "currency", wanted=budget is not None) if budget is not None else "",
        budget_months=12 if months is None else months,
        services=sorted(set(draft.services)),
        slo_percent=slo,
        rto_minutes=stated.whole(draft.rto_minutes, "rto_minutes"),
        rpo_minutes=stated.whole(draft.rpo_minutes, "rpo_minutes"),
        mlps_level=stated.whole(draft.mlps_level, "mlps_level", *MLPS),
    )


def _load(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """One expectation; its value is stated, or follows from a baseline and an uplift in percent."""
    baseline = stated.decimal(row.get("baseline"), f"{where}.baseline")
    uplift = stated.decimal(row.get("uplift_percent"), f"{where}.uplift_percent")
    value = stated.decimal(row.get("value"), f"{where}.value")
    if value is None and baseline is not None and uplift is not None:
        value = round(baseline * (1 + uplift / 100), 3)
    if value is None:
        raise stated.refuse(
            f"{where}.value", "", _("A value is wanted, or a baseline and an uplift."), _("Write how much is expected.")
        )
    return {
        "metric": stated.text(row.get("metric"), f"{where}.metric", most=120, wanted=True),
        "unit": stated.text(row.get("unit"), f"{where}.unit", most=40),
        "value": stated.plain(value),
        "baseline": stated.plain(baseline),
        "uplift_percent": stated.plain(uplift),
    }


def content_hash(draft: Draft, number: int) -> str:
    """Return what an acceptance is bound to: all of a draft but whose it is."""
    said = {name: getattr(draft, name) for name in Draft.__dataclass_fields__ if name not in ("owner", "owner_team")}
    said |= {name: stated.plain(said[name]) for name in ("budget", "slo_percent")}
    said |= {"number": number, "services": [str(each) for each in draft.services], "wanted_on": str(draft.wanted_on)}
    return canonical_hash(said)


# --- the checklist of a review --------------------------------------------------------------------------------------

ANSWERS = ("yes", "no", "n-a")
MAX_QUESTION = 300


def begun(template: list[str], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the questions of the template, with what was answered to the same ones before."""
    known = {each["text"]: each for each in before}
    blank = {"answer": "", "note": "", "by": "", "at": "", "hash": ""}
    return [known.get(each) or {"text": each, **blank} for each in dict.fromkeys(template)]


def answered(item: Mapping[str, Any], now: str) -> bool:
    """Whether a question was answered about the content as it is now."""
    return bool(item["answer"]) and item["hash"] == now


def answer(
    item: Mapping[str, Any], given: Mapping[str, Any], where: str, *, by: str, at: str, now: str
) -> dict[str, Any]:
    """Return a question with an answer; "no" says why."""
    word = str(given.get("answer") or "")
    note = stated.text(given.get("note"), f"{where}.note", most=2000)
    if word not in ("", *ANSWERS):
        raise stated.refuse(f"{where}.answer", word, _("One of: %(words)s.") % {"words": ", ".join(ANSWERS)})
    if word == "no" and not note:
        raise stated.refuse(f"{where}.note", "", _("A no says why."), _("Write what is missing, and who accepts that."))
    if not word:
        return {**item, "answer": "", "note": note, "by": "", "at": "", "hash": ""}
    return {**item, "answer": word, "note": note, "by": by, "at": at, "hash": now}
