"""What a person may say about an option: resources, changes, structure, figures with their sources, risks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from tongchou.changes import availability, outline, stated
from tongchou.inventory.kinds import listed
from tongchou.runbooks.definition import canonical_hash

RESOURCES = ("kind", "name", "count", "role", "existing")
CHANGES = ("order", "title", "what")
RISKS = ("risk", "likelihood", "impact", "mitigation")
ROLES = ("single", "active", "standby", "n_plus_1", "k_of_n", "quorum", "replica")
SCALE = (1, 5)
FIGURES: dict[str, tuple[Decimal, int]] = {
    "capex": stated.MONEY,
    "opex_monthly": stated.MONEY,
    "energy_kwh_monthly": stated.AMOUNT,
    "co2e_kg_monthly": stated.AMOUNT,
    "lead_days": (Decimal(10_000), 0),
}


@dataclass(frozen=True)
class Draft:
    """See models_requirements.Option. A figure is a number or a text that writes one; each has a source."""

    name: str
    summary: str = ""
    resources: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    risks: list[dict[str, Any]] = field(default_factory=list)
    structure: str = ""
    capex: Decimal | str | None = None
    opex_monthly: Decimal | str | None = None
    currency: str = ""
    energy_kwh_monthly: Decimal | str | None = None
    co2e_kg_monthly: Decimal | str | None = None
    lead_days: Decimal | int | str | None = None
    sources: dict[str, str] = field(default_factory=dict)


def good(draft: Draft) -> Draft:
    """Return the draft with every value read; Invalid for the first field that will not do."""
    figures = {name: stated.decimal(getattr(draft, name), name, limits) for name, limits in FIGURES.items()}
    sources: dict[str, str] = {}
    for name, value in figures.items():
        said = stated.text(draft.sources.get(name), f"sources.{name}", most=500)
        if value is not None and not said:
            raise stated.refuse(
                f"sources.{name}",
                "",
                _("A figure without a source is no figure."),
                _("Write where it is from: an offer, a bill, a price list, an estimate by whom."),
            )
        if value is not None:
            sources[name] = said
    paid = figures["capex"] is not None or figures["opex_monthly"] is not None
    days = figures.pop("lead_days")
    resources = [
        _resource(row, f"resources[{n}]") for n, row in enumerate(stated.rows(draft.resources, "resources", RESOURCES))
    ]
    return replace(
        draft,
        **figures,
        name=stated.text(draft.name, "name", most=120, wanted=True),
        summary=stated.text(draft.summary, "summary"),
        resources=resources,
        changes=_changes(draft.changes),
        risks=[_risk(row, f"risks[{n}]") for n, row in enumerate(stated.rows(draft.risks, "risks", RISKS))],
        structure=_structure(draft.structure),
        currency=stated.currency(draft.currency, "currency", wanted=paid) if paid else "",
        lead_days=None if days is None else int(days),
        sources=sources,
    )


def _structure(text: str) -> str:
    """The outline as it was written; Invalid names the line that is wrong."""
    outline.read(text)
    return text.replace("\r\n", "\n").rstrip()


def _resource(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    existing = str(row.get("existing") or "").strip().removeprefix("inventory.resource:")
    if existing:
        try:
            existing = str(UUID(existing))
        except ValueError:
            raise stated.refuse(f"{where}.existing", existing, _("This is no id of a resource.")) from None
    kind = stated.text(row.get("kind"), f"{where}.kind", most=60)
    if not existing and listed(kind) is None:
        raise stated.refuse(
            f"{where}.kind", kind, _("There is no such kind."), _("Choose one of the kinds (GET /api/v1/kinds).")
        )
    role = stated.text(row.get("role"), f"{where}.role", most=20) or "single"
    if role not in ROLES:
        raise stated.refuse(f"{where}.role", role, _("One of: %(words)s.") % {"words": ", ".join(ROLES)})
    return {
        "kind": kind,
        "name": stated.text(row.get("name"), f"{where}.name", most=200, wanted=not existing),
        "count": stated.whole(row.get("count"), f"{where}.count", 1, 10_000) or 1,
        "role": role,
        "existing": existing,
    }


def _changes(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for n, row in enumerate(stated.rows(value, "changes", CHANGES)):
        where = f"changes[{n}]"
        order = stated.whole(row.get("order"), f"{where}.order", 1, 1000)
        found.append(
            {
                "order": n + 1 if order is None else order,
                "title": stated.text(row.get("title"), f"{where}.title", most=200, wanted=True),
                "what": stated.text(row.get("what"), f"{where}.what", most=8000),
            }
        )
    return sorted(found, key=lambda each: each["order"])


def _risk(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    scale = {name: stated.whole(row.get(name), f"{where}.{name}", *SCALE) for name in ("likelihood", "impact")}
    missing = next((name for name, value in scale.items() if value is None), None)
    if missing:
        raise stated.refuse(f"{where}.{missing}", "", _("From 1 (low) to 5 (high)."))
    return {
        "risk": stated.text(row.get("risk"), f"{where}.risk", most=500, wanted=True),
        **scale,
        "mitigation": stated.text(row.get("mitigation"), f"{where}.mitigation", most=2000),
    }


def content_hash(draft: Draft) -> str:
    """Return what a choice is bound to: all of the option."""
    said = asdict(draft)
    said |= {name: stated.plain(said[name]) for name in FIGURES if name != "lead_days"}
    return canonical_hash(said)


def computed(structure: str) -> dict[str, Any]:
    """Return what a structure comes to, as JSON: availability (None: not computable), what is missing, what is weak."""
    node = outline.read(structure)
    if node is None:
        return {"availability": None, "missing": [], "weakest": []}
    return asdict(availability.answer(node))
