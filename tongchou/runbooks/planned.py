"""What a plan consists of: targets, resolved steps and preconditions, each with the part that an approval covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Target:
    """A resource as a run sees it at the moment it is requested."""

    ref: str
    kind: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    active: bool = True

    def as_json(self) -> dict[str, Any]:
        """What a run keeps of it and the content hash covers."""
        return {"ref": self.ref, "kind": self.kind, "name": self.name, "labels": dict(self.labels)}

    def values(self) -> dict[str, Any]:
        """What `${target.x}` may name: an attribute, else a label; name, kind and ref are the resource's own."""
        return {**self.labels, **self.attributes, "name": self.name, "kind": self.kind, "ref": self.ref}


@dataclass(frozen=True)
class PlannedStep:
    """One step with everything resolved but secrets, which stay `${secret.NAME}` until the request itself.

    `parent` is the position of the step it stands in: one of kind `parallel`, whose `branch` it belongs to, or (branch
    empty) one whose failure it answers. `flow` is Flow as JSON, with only what is not the default.
    """

    name: str
    kind: str
    target_ref: str
    target_name: str
    input: Mapping[str, Any]
    alters: bool
    repeatable: bool
    secrets: Sequence[str] = ()
    parent: int | None = None
    branch: str = ""
    flow: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What the content hash covers and a page shows."""
        return approved_part(
            name=self.name,
            kind=self.kind,
            target=self.target_ref,
            input=dict(self.input),
            alters=self.alters,
            repeatable=self.repeatable,
            parent=self.parent,
            branch=self.branch,
            flow=dict(self.flow),
        )


def approved_part(
    *, parent: int | None = None, branch: str = "", flow: Mapping[str, Any], preview: Any = None, **always: Any
) -> dict[str, Any]:
    """The part of a step that an approval covers. What a plain step lacks is left out, and so are its keys."""
    some = {"parent": parent, "branch": branch or None, "flow": flow or None, "preview": preview or None}
    return {**always, **{key: value for key, value in some.items() if value is not None}}


@dataclass(frozen=True)
class PlannedCheck:
    """A precondition with its query resolved."""

    query: str
    condition: str
    says: Mapping[str, str]
    target_name: str

    def as_json(self) -> dict[str, Any]:
        """What a run keeps of it and the content hash covers."""
        return {"query": self.query, "is": self.condition, "says": dict(self.says), "target_name": self.target_name}
