"""The kinds of steps that integrations bring: every installed Runner by its kind."""

from __future__ import annotations

from tongchou.core.registry import implementations
from tongchou.runbooks.ports import Completer, Previewer, Runner, Whole


def runners() -> dict[str, Runner]:
    """Every installed Runner by the kind of step it does."""
    return {runner.kind: runner for runner in implementations(Runner)}  # type: ignore[type-abstract]  # a Protocol is meant


def previewer(kind: str) -> Previewer | None:
    """The Runner of the kind, if it can show what a step would change."""
    found = runners().get(kind)
    return found if isinstance(found, Previewer) else None


def completer(kind: str) -> Completer | None:
    """The Runner of the kind, if it adds to a resolved step."""
    found = runners().get(kind)
    return found if isinstance(found, Completer) else None


def whole(kind: str) -> bool:
    """Whether a step of the kind is done once for all targets."""
    found = implementations(Whole)  # type: ignore[type-abstract]  # a Protocol is meant
    return any(each.whole for each in found if each.kind == kind)
