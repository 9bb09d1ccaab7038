"""What alerting asks of the world: a way to tell people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from tongchou.core.inbox_mail import Letter
from tongchou.core.problems import Text


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """One alert of a message."""

    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    fingerprint: str
    generator_url: str


@dataclass(frozen=True, slots=True)
class ExplainedMessage:
    """A group that is not told, as this message's group explains it: its key and how many alerts fire in it."""

    group_key: str
    alerts: int


@dataclass(frozen=True, slots=True)
class Message:
    """One state of one group. ``id`` is the same for every try, so that a receiver can drop what it has seen.

    ``status`` is firing or resolved, ``reason`` opened, update, repeat, leftover or closed; ``truncated`` counts alerts
    left out of ``alerts``; ``thread`` is the same for all messages of a group.
    """

    id: str
    status: str
    receiver: str
    group_key: str
    group_labels: Mapping[str, str]
    alerts: tuple[AlertMessage, ...]
    truncated: int
    external_url: str
    url: str
    reason: str = "opened"
    thread: str = ""
    explained: tuple[ExplainedMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a try: ``retry`` says whether another one may help."""

    delivered: bool
    detail: str
    retry: bool = True


@runtime_checkable
class Mailer(Protocol):
    """A kind of channel that can also write to one person."""

    kind: str

    def mail(self, settings: Mapping[str, Any], secret: str | None, letter: Letter) -> Outcome:
        """Deliver within a bounded time; never raises for what the other side does."""
        ...


@runtime_checkable
class Channel(Protocol):
    """A kind of channel. One object serves all channels of its kind, from several threads."""

    kind: str

    def check(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings as they are kept; raises Invalid naming the field that does not fit."""
        ...

    def shown(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Kept settings as people may see them: what opens a door is masked."""
        ...

    def secret_help(self) -> Text | None:
        """What the channel's secret is for; None when it needs none."""
        ...

    def send(self, settings: Mapping[str, Any], secret: str | None, message: Message) -> Outcome:
        """Deliver within a bounded time; never raises for what the other side does."""
        ...
