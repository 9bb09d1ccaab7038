"""What the world must satisfy to feed the inventory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from tongchou.inventory.documents import Document
from tongchou.inventory.observation import Observation


@runtime_checkable
class Source(Protocol):
    """A way to look at a part of the world. Objects of it hold no state and may be used by several threads.

    `kind` names it in SourceConfig.kind; `settings_schema` is JSON Schema for its settings, shown by forms;
    `precedence` is the default weight of its word against other sources (a person's is 1000). A source whose word is
    meant to be so (a discovery file, another ledger) has `declares = True`; all others tell what they observe.
    """

    kind: str
    title: Any
    settings_schema: Mapping[str, Any]
    precedence: int
    interval_seconds: float

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings with defaults filled in; raises problems.Invalid naming the field."""
        ...

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Look once, within seconds. `source` is the name of the SourceConfig, for keys that hold only within it.

        Raises problems.Problem with a remedy when nothing can be said; then nothing known is touched.
        """
        ...


@runtime_checkable
class NodeSource(Source, Protocol):
    """A source that may look at the machine it runs on: `node` is one of its settings (source_settings.NODE)."""

    def of_node(self, settings: Mapping[str, Any]) -> bool:
        """Tell whether it does with these settings, checked or not, so that another node would see something else."""
        ...


@runtime_checkable
class DocumentSource(Source, Protocol):
    """A source that reads a file: one that its settings name (documents.FILE_SETTINGS), or one handed over."""

    def read(self, settings: Mapping[str, Any], document: Document, *, source: str) -> Observation:
        """Return what a file says. Raises problems.Problem naming the place in the file; never quotes a secret."""
        ...
