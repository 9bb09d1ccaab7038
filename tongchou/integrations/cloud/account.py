"""What the readers of all clouds share: a gathering that knows its cloud, its keys and the tag that names the owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tongchou.inventory import identity, standard_names
from tongchou.inventory.gather import Gathering, facts, number, text

GIB = 1024**3
MIB = 1024**2
MAX_TAGS = 100


class Account:
    """Things of one cloud. `add` and `relate` take the cloud's own ids."""

    def __init__(self, gathering: Gathering, cloud: str, owner_tag: str = "") -> None:
        self.gathering = gathering
        self.cloud = cloud
        self._owner_tag = owner_tag

    def key(self, id_: object) -> str | None:
        """The identity key of an id of this cloud; None of none."""
        return identity.cloud_key(self.cloud, id_)

    def add(
        self,
        kind: str,
        ids: Iterable[str],
        name: str,
        attributes: Mapping[str, Any],
        labels: Mapping[str, str] | None = None,
        more_keys: Iterable[str | None] = (),
    ) -> None:
        """Add a thing by its ids, strongest first; one without any id or other key is told of and left out."""
        found = list(ids)
        keys = identity.keys(*(self.key(each) for each in found), *more_keys)
        tags = dict(labels or {})
        said = facts(provider=self.cloud, **standard_names.named(kind, attributes))
        self.gathering.add(
            kind, name or next((each for each in found if each), ""), keys, said, tags, self._owner(tags)
        )

    def _owner(self, tags: Mapping[str, str]) -> str | None:
        return tags.get(self._owner_tag) or None if self._owner_tag else None

    def relate(self, type_: str, from_: str, to: str) -> None:
        """Relate two things by their ids; with an empty one nothing is said."""
        self.gathering.relate(type_, self.key(from_), self.key(to))


def pairs(listed: Iterable[Mapping[str, Any]], name: str, value: str) -> dict[str, str]:
    """Return tags that are written as a list of objects with a name and a value."""
    found = {text(each, name): text(each, value) for each in listed}
    return {key: said for key, said in found.items() if key}


def addresses(listed: Iterable[str], first: str = "") -> dict[str, Any]:
    """Return the private addresses of a machine: `first`, else the first in order as its address; of several all.

    The order in which a cloud lists them says nothing.
    """
    found = sorted({each for each in listed if each})
    return {"address": first or next(iter(found), ""), "private_ips": found if len(found) > 1 else []}


def all_there(document: Any, total: str, found: int, account: Account) -> None:
    """Say that a file holds a part, when it tells that there are more things than are in it."""
    told = number(document, total)
    if told is not None and told > found:
        account.gathering.partial(f"{account.cloud}: {found:,} of {told:,} are in the file; export all pages")
