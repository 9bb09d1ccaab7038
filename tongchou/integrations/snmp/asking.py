"""How devices are asked, and what comes back: plain data. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from tongchou.integrations.snmp.mibs import Tables


@dataclass(frozen=True, slots=True)
class Access:
    """How to ask: with a community (v2c), or as a user with keys (v3). What is secret has no repr."""

    community: str = field(default="", repr=False)
    user: str = ""
    auth: str = "SHA-256"
    auth_key: str = field(default="", repr=False)
    priv_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Asking:
    """Where and how patiently. `concurrency`: devices asked at once."""

    port: int = 161
    timeout_seconds: float = 2.0
    retries: int = 1
    concurrency: int = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one address: its tables when it told all; `silent` when nothing came; else why it told no more."""

    address: str
    tables: Tables = field(default_factory=dict)
    silent: bool = False
    denied: bool = False
    why: str = ""
