"""What sorts of things and relations exist, and which way failure flows along a relation.

Those of the catalogue, and those that people defined. The latter are kept in memory; at most once in FRESH_SECONDS a
process looks whether its copy is still the newest (one query), and at once in the process that changed one. A kind
that is not listed is legal: it shows under its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from uuid import UUID

from django.utils.functional import lazy

from tongchou.core.field_types import FieldDef, localized
from tongchou.core.problems import Text
from tongchou.inventory import stamps
from tongchou.inventory.catalogue.everything import KINDS, RELATION_TYPES
from tongchou.inventory.catalogue.shapes import Kind, RelationType
from tongchou.inventory.models import KindDefinition, RelationDefinition, Stamp

# Where a relation comes from, and how sure we are of it when its source does not say.
ORIGINS: dict[str, float] = {"declared": 1.0, "observed": 0.9, "inferred": 0.6}
FRESH_SECONDS = 1.0
DEEPEST = 8  # kinds above one another


# --- what people defined ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Defined:
    """What people defined, by name; `former`: names a kind or relation type had before -> the one it has."""

    token: UUID | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    relations: Mapping[str, RelationType] = field(default_factory=dict)
    former: Mapping[str, str] = field(default_factory=dict)


_localized = lazy(localized, str)
_NOTHING = _Defined()
_known: list[tuple[_Defined, float]] = []  # at most one: what is known, and until when nobody asks again
_lock = Lock()


def kind_of(row: KindDefinition) -> Kind:
    """Return a definition as readers use it."""
    return Kind(
        row.name,
        _title(row.label, row.name),
        row.icon,
        row.tier,
        row.group,
        parent=row.parent,
        help=_title(row.description, ""),
        defined=True,
        retired=row.retired_at is not None,
    )


def relation_of(row: RelationDefinition) -> RelationType:
    """Return a definition as readers use it."""
    return RelationType(
        row.name,
        _title(row.label, row.name),
        _title(row.reverse_label, row.name),
        row.needed,  # type: ignore[arg-type]  # one of the three, by its choices
        row.cardinality,  # type: ignore[arg-type]  # one of the four, by its choices
        tuple(row.from_kinds),
        tuple(row.to_kinds),
        defined=True,
        retired=row.retired_at is not None,
    )


def _title(texts: Mapping[str, str], fallback: str) -> Text:
    """A text that people wrote in both languages: in the reader's, whenever it is read."""
    found: Text = _localized(texts, fallback)
    return found


def _load(token: UUID) -> _Defined:
    kinds = list(KindDefinition.objects.order_by("name"))
    relations = list(RelationDefinition.objects.order_by("name"))
    return _Defined(
        token,
        {row.name: kind_of(row) for row in kinds},
        {row.name: relation_of(row) for row in relations},
        {old: row.name for row in kinds for old in row.former},
    )


def _defined() -> _Defined:
    """What people defined: no query while fresh, one when nothing changed, else three."""
    with _lock:
        known = _known[0] if _known else None
    if known is not None and monotonic() < known[1]:
        return known[0]
    # the token is read before the rows: a change in between costs one load more, and is never missed
    token = stamps.current(Stamp.KINDS)
    if token is None:
        found = _NOTHING
    elif known is not None and known[0].token == token:
        found = known[0]
    else:
        found = _load(token)
    with _lock:
        _known[:] = [(found, monotonic() + FRESH_SECONDS)]
    return found


def forget() -> None:
    """Ask anew at the next use: called by whoever changed a definition."""
    with _lock:
        _known.clear()


def assume_none(seconds: float) -> None:
    """Take it that nothing is defined, for so long or until `forget`: for tests without a database."""
    with _lock:
        _known[:] = [(_NOTHING, monotonic() + seconds)]


# --- kinds ------------------------------------------------------------------------------------------------------------


def kind(name: str) -> Kind:
    """Return the kind of this name; an unknown one is shown as it is written."""
    return listed(name) or Kind(name, name, "circle", 3)


def listed(name: str) -> Kind | None:
    """Return the kind of this name, None when neither the catalogue nor people know it."""
    return KINDS.get(name) or _defined().kinds.get(name)


def every(*, retired: bool = True) -> Iterator[Kind]:
    """Give all kinds, those of the catalogue first; without `retired` only those that are offered."""
    yield from KINDS.values()
    for each in _defined().kinds.values():
        # a release may bring a kind whose name people had taken: the catalogue answers for it
        if each.name not in KINDS and (retired or not each.retired):
            yield each


def current(name: str) -> str:
    """Return the name that a kind has now, for one that was renamed."""
    return name if name in KINDS else _defined().former.get(name, name)


def lineage(name: str) -> tuple[str, ...]:
    """Return a kind and those it inherits from, nearest first. A circle, which nobody can define, ends."""
    found: list[str] = []
    while name and name not in found and len(found) < DEEPEST:
        found.append(name)
        name = kind(name).parent
    return tuple(found)


def with_heirs(name: str) -> list[str]:
    """Return a kind and all that inherit from it, by name."""
    return sorted(family((name,)))


def family(names: Iterable[str]) -> frozenset[str]:
    """Return these kinds and all that inherit from one of them. For many resources at once: `fits` asks for each."""
    wanted = frozenset(names)
    return wanted | {each.name for each in every() if not wanted.isdisjoint(lineage(each.name))}


def fits(name: str, allowed: tuple[str, ...]) -> bool:
    """Tell whether a kind is one of these, or inherits from one; () allows every kind."""
    return not allowed or any(each in allowed for each in lineage(name))


def fields(name: str) -> list[FieldDef]:
    """Return the standard fields of a kind, its parents' first. Their values are attributes."""
    found: dict[str, FieldDef] = {}
    for each in reversed(lineage(name)):
        found.update({one.name: one for one in kind(each).fields})
    return list(found.values())


def asked_for(name: str) -> set[str]:
    """Return the standard fields that a thing of this kind should have a value of: the required and the wanted ones."""
    required = {each.name for each in fields(name) if each.required}
    return required.union(*(kind(each).wanted for each in lineage(name)))


def standard_fields() -> Mapping[str, FieldDef]:
    """Return every standard field by its name, whichever kinds have it."""
    return _by_name


def field_named(name: str) -> FieldDef | None:
    """Return a standard field by its name, whichever kinds have it: its type is the same in all of them."""
    return _by_name.get(name)


_by_name: dict[str, FieldDef] = {each.name: each for kind_ in KINDS.values() for each in kind_.fields}


# --- relation types ---------------------------------------------------------------------------------------------------


def relation(name: str) -> RelationType | None:
    """Return the relation type of this name, None when there is none."""
    return RELATION_TYPES.get(name) or _defined().relations.get(name)


def relations(*, retired: bool = True) -> list[RelationType]:
    """Return all relation types, those of the catalogue first; without `retired` only those that are offered."""
    return [*RELATION_TYPES.values(), *(each for each in _defined().relations.values() if retired or not each.retired)]


def relation_words(name: str, *, out: bool = True) -> str:
    """Return how a relation reads from its "from" end, or from the other one; an unknown one as it is written."""
    known = relation(name)
    return str(known.title if out else known.reverse_title) if known else name


def flows(type_: str) -> bool:
    """Tell whether one end of a relation needs the other, so that failure flows along it."""
    known = relation(type_)
    return known is None or known.needed != "none"


def dependency(type_: str, from_: object, to: object) -> tuple[object, object]:
    """Return (dependant, needed) for a relation. An unknown type, and one that does not flow, reads "from needs to"."""
    known = relation(type_)
    return (to, from_) if known is not None and known.needed == "from" else (from_, to)
