"""A plan as people read it, line by line: + what comes, ~ what changes from what to what, - what goes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from tongchou.inventory.models import Resource
from tongchou.inventory.plan import Changed, Created, Plan, RelationChange
from tongchou.inventory.recorded import chunks

MOST = 200  # lines of each sort
MAX_VALUE = 200  # characters


def lines_of(plan: Plan) -> dict[str, Any]:
    """Return the lines of a plan as JSON: `created`, `changed`, `gone`, `relations`, and how many were `cut`.

    Each thing has id, kind, name; `changes` are [what, old, new], values as short JSON text, null for none. A changed
    thing without any is one of which the source says something else while a stronger source's word stands.
    """
    signed = (("+", plan.relations_added), ("~", plan.relations_weighed), ("-", plan.relations_closed))
    edges = [(sign, each) for sign, changes in signed for each in changes]
    shown = edges[:MOST]
    ids = {*plan.gone[:MOST], *(id_ for _sign, each in shown for id_ in (each.from_id, each.to_id))}
    names = _names(ids) | {new.id: (new.kind, new.name) for new in plan.created}
    cut = sum(max(0, len(each) - MOST) for each in (plan.created, plan.changed, plan.gone, edges))
    return {
        "created": [_created(new) for new in plan.created[:MOST]],
        "changed": [_changed(each) for each in plan.changed[:MOST]],
        "gone": [{"id": str(id_), **_named(names, id_)} for id_ in plan.gone[:MOST]],
        "relations": [_relation(sign, each, names) for sign, each in shown],
        "cut": cut,
    }


def short(value: object) -> str | None:
    """Return a value as JSON text of at most MAX_VALUE characters; None for none."""
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _names(ids: Iterable[UUID]) -> dict[UUID, tuple[str, str]]:
    found: dict[UUID, tuple[str, str]] = {}
    for part in chunks(ids):
        for id_, kind, name in Resource.objects.filter(pk__in=part).values_list("id", "kind", "name"):
            found[id_] = (kind, name)
    return found


def _named(names: dict[UUID, tuple[str, str]], id_: UUID) -> dict[str, str]:
    kind, name = names.get(id_, ("", str(id_)))
    return {"kind": kind, "name": name}


def _created(new: Created) -> dict[str, Any]:
    values = {**{f"label {name}": text for name, text in new.labels.items()}, **new.attributes}
    if new.owner:
        values["owner"] = new.owner
    changes = [[name, None, short(values[name])] for name in sorted(values)]
    return {"id": str(new.id), "kind": new.kind, "name": new.name, "changes": changes}


def _changed(each: Changed) -> dict[str, Any]:
    changes = [[name, short(old), short(new)] for name, (old, new) in sorted(each.effective.items())]
    if each.rename:
        changes.insert(0, ["kind, name", f"{each.kind} {each.name}", " ".join(each.rename)])
    if each.owner:
        changes.insert(0, ["owner", short(each.owner[0]), short(each.owner[1])])
    return {"id": str(each.id), "kind": each.kind, "name": each.name, "returned": each.returned, "changes": changes}


def _relation(sign: str, each: RelationChange, names: dict[UUID, tuple[str, str]]) -> dict[str, str]:
    return {
        "sign": sign,
        "from": _named(names, each.from_id)["name"],
        "type": each.type,
        "to": _named(names, each.to_id)["name"],
    }
