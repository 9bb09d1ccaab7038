"""What agents send of their machines, and which of them report."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticKnownError

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.inventory import agents
from tongchou.inventory.agents import Report

router = Router(tags=["inventory"])


def _written(value: Any) -> Any:
    """Refuse what pydantic would take for a time and the document does not tell: Unix numbers."""
    if isinstance(value, str):
        return value
    raise PydanticKnownError("datetime_type")


def _address(value: str) -> str:
    """Refuse what is no address; "" is the machine itself."""
    if value:
        ip_address(value)
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written)]
Size = Annotated[int, Field(strict=True, ge=0, le=2**62)]
Port = Annotated[int, Field(strict=True, ge=0, le=65_535)]
Word = Annotated[str, Field(max_length=64)]
Line = Annotated[str, Field(max_length=300)]
Address = Annotated[str, Field(max_length=64), AfterValidator(_address)]
Addresses = Annotated[list[Address], Field(max_length=1000)]


class Told(Body):
    """The base of what an agent says: fields that a newer agent has are left out, those we know are checked."""

    model_config = ConfigDict(extra="ignore")


class MachineIn(Told):
    """The machine itself."""

    hostname: str = Field(min_length=1, max_length=128)
    fqdn: str = Field(default="", max_length=128)
    machine_id: Word = ""
    uuid: Word = ""
    serial: str = Field(default="", max_length=128)
    container: bool = False
    os: Line = ""
    kernel: Line = ""
    architecture: Word = ""
    cpu_model: Line = ""
    cpu_count: Size | None = None
    memory_bytes: Size | None = None
    swap_bytes: Size | None = None
    product: Line = ""
    vendor: Line = ""


class DiskIn(Told):
    """A block device."""

    name: str = Field(min_length=1, max_length=64)
    size_bytes: Size | None = None
    model: Line = ""
    serial: Line = ""
    medium: Word = ""


class FilesystemIn(Told):
    """A mounted file system."""

    mountpoint: str = Field(min_length=1, max_length=4096)
    device: str = Field(default="", max_length=4096)
    type: Word = ""
    size_bytes: Size | None = None


class InterfaceIn(Told):
    """A network interface."""

    name: str = Field(min_length=1, max_length=64)
    mac: Word = ""
    addresses: Addresses = []
    mtu: Size | None = None
    up: bool | None = None
    speed_mbps: Size | None = None


class ListenerIn(Told):
    """A TCP port something listens on."""

    port: Port
    addresses: Addresses = []
    process: Line = ""
    user: Line = ""


class EdgeIn(Told):
    """Who uses what; an address "" is the machine itself."""

    user: Address
    user_port: Port
    used: Address
    used_port: Port
    asked: Address = ""
    asked_port: Port = 0
    count: int = Field(ge=1, le=2**31)


class ConnectionsIn(Told):
    """Connections as sums between addresses and ports."""

    addresses: Addresses = []
    edges: list[EdgeIn] = Field(default=[], max_length=5000)


class ReadingIn(Told):
    """What a machine tells of itself; a part that is not there was not read."""

    version: int = Field(ge=1, le=1000)
    machine: MachineIn
    disks: list[DiskIn] | None = Field(default=None, max_length=2000)
    filesystems: list[FilesystemIn] | None = Field(default=None, max_length=2000)
    interfaces: list[InterfaceIn] | None = Field(default=None, max_length=2000)
    listeners: list[ListenerIn] | None = Field(default=None, max_length=2000)
    connections: ConnectionsIn | None = None
    refused: dict[Word, str] = Field(default={}, max_length=20)
    notes: list[str] = Field(default=[], max_length=20)


class ReportIn(Told):
    """One report. `run` and `number` name it: sent again it is no other one."""

    run: str = Field(min_length=1, max_length=64)
    number: int = Field(ge=0, le=2**62)
    at: Moment
    agent: str = Field(default="", max_length=40)
    interval_seconds: float = Field(default=60, ge=5, le=86_400)
    reading: ReadingIn


class ReportOut(Schema):
    """What came of a report: not stored when it, or a newer one, is known already."""

    id: UUID
    stored: bool


class AgentOut(Schema):
    """A machine whose agent reports."""

    id: UUID
    name: str
    machine: str
    agent: str
    first_at: datetime
    reported_at: datetime
    received_at: datetime
    alive: bool
    interval_seconds: float
    by: str
    kept: dict[str, datetime]


class AgentPage(Schema):
    """A page of agents."""

    items: list[AgentOut]
    count: int


@router.post("/agent/report", response=ReportOut)
def report(request: HttpRequest, body: ReportIn) -> dict[str, Any]:
    """Take what an agent read of its machine, also as gzip. Answered when it is stored."""
    reading = body.reading.model_dump(exclude_unset=True, exclude_none=True)
    told = Report(body.run, body.number, body.at, body.agent, body.interval_seconds, reading)
    taken = agents.take(actor=actor_of(request), report=told)
    return {"id": taken.row.pk, "stored": taken.stored}


@router.get("/agents", response=AgentPage)
def list_agents(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List the machines whose agents report, by name: when they did last, and as whom."""
    rows, now = agents.reports(actor=actor_of(request)), timezone.now()
    items = [
        {
            "id": row.pk,
            "name": row.name,
            "machine": row.machine,
            "agent": row.agent_version,
            "first_at": row.first_at,
            "reported_at": row.reported_at,
            "received_at": row.received_at,
            "alive": agents.alive(row, now),
            "interval_seconds": row.interval_seconds,
            "by": row.sender_name,
            "kept": row.kept,
        }
        for row in page_of(rows, offset, max(1, min(limit, 500)))
    ]
    return {"items": items, "count": rows.count()}
