"""Asks devices over SNMP (v2c, v3), many at once, read only: each answers for itself, all of it within one deadline.

The one module that knows pysnmp. What a device said is plain data (mibs.Tables); community and keys go nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch import asyncio as hlapi
from pysnmp.proto import errind
from pysnmp.proto.rfc1905 import EndOfMibView, NoSuchInstance, NoSuchObject

from tongchou.integrations.snmp import mibs
from tongchou.integrations.snmp.asking import Access, Answer, Asking
from tongchou.integrations.snmp.mibs import Index, Value

LOOK_SECONDS = 220.0  # of all devices: the job that looks is given 300
DEVICE_SECONDS = 60.0
MAX_ROWS = 20_000  # of one column
BULK = 25  # rows of one answer; more, and an answer would not fit into one packet
_AUTH = {"SHA": hlapi.USM_AUTH_HMAC96_SHA, "SHA-256": hlapi.USM_AUTH_HMAC192_SHA256}
_NO_RIGHT = (6, 16)  # noAccess, authorizationError, RFC 3416
_NOTHING = (NoSuchObject, NoSuchInstance, EndOfMibView)


def _credentials(access: Access) -> Any:
    if access.community:
        return hlapi.CommunityData(access.community, mpModel=1)  # noqa: S508  # what most devices speak; the form says so
    keys = {"authKey": access.auth_key, "authProtocol": _AUTH[access.auth]}
    if access.priv_key:
        keys |= {"privKey": access.priv_key, "privProtocol": hlapi.USM_PRIV_CFB128_AES}
    return hlapi.UsmUserData(access.user, **keys)  # noqa: S509  # encrypted where the administrator named a key for it


class _SilentError(Exception):
    """No answer in time."""


class _RefusedError(Exception):
    """An answer that tells nothing. `denied`: because of who asks."""

    def __init__(self, why: str, *, denied: bool = False) -> None:
        super().__init__(why)
        self.denied = denied


def ask_all(addresses: Sequence[str], access: Access, asking: Asking) -> list[Answer]:
    """Ask every address once; answers in the order of addresses. One not reached in time is told as such."""
    return asyncio.run(_ask_all(addresses, access, asking))


async def _ask_all(addresses: Sequence[str], access: Access, asking: Asking) -> list[Answer]:
    engine = hlapi.SnmpEngine()
    credentials = _credentials(access)
    turns = asyncio.Semaphore(asking.concurrency)
    until = time.monotonic() + LOOK_SECONDS

    async def one(address: str) -> Answer:
        async with turns:
            left = min(DEVICE_SECONDS, until - time.monotonic())
            if left <= 0:
                return Answer(address, why=f"not asked within {LOOK_SECONDS:g} s")
            return await _ask(_Device(engine, credentials, address, asking), left)

    try:
        return await asyncio.gather(*(one(address) for address in addresses))
    finally:
        engine.close_dispatcher()


async def _ask(device: _Device, seconds: float) -> Answer:
    heard = False
    try:
        async with asyncio.timeout(seconds):
            tables = await device.scalars()
            heard = True
            await device.read_on(tables)
            return Answer(device.address, tables)
    except _SilentError:
        return Answer(device.address, silent=not heard, why="it stopped answering" if heard else "")
    except TimeoutError:
        return Answer(device.address, why=f"it did not tell all within {seconds:.0f} s")
    except _RefusedError as error:
        return Answer(device.address, why=str(error), denied=error.denied)
    except (PySnmpError, OSError) as error:  # an address without a route, a packet that is no SNMP
        return Answer(device.address, silent=not heard, why=type(error).__name__ if heard else "")


class _Device:
    """One device in the asking."""

    def __init__(self, engine: Any, credentials: Any, address: str, asking: Asking) -> None:
        self.address = address
        self._engine, self._credentials, self._asking = engine, credentials, asking
        self._peer: tuple[Any, ...] = ()

    async def scalars(self) -> dict[str, dict[Index, Value]]:
        """What is said once of a device. Raises _SilentError where nobody answers."""
        kind = hlapi.Udp6TransportTarget if ":" in self.address else hlapi.UdpTransportTarget
        target = await kind.create(
            (self.address, self._asking.port), timeout=self._asking.timeout_seconds, retries=self._asking.retries
        )
        self._peer = (self._engine, self._credentials, target, hlapi.ContextData())
        wanted = {(*oid, 0): name for name, oid in mibs.SCALARS.items()}
        return {wanted[oid]: {(0,): value} for oid, value in await self._get(wanted) if oid in wanted}

    async def read_on(self, tables: dict[str, dict[Index, Value]]) -> None:
        """Read the tables into `tables`; those of a MIB that the device lacks cost one question."""
        await self._columns(mibs.INTERFACES, tables)
        await self._columns(mibs.ADDRESSES, tables)
        if not tables["ipAddressIfIndex"]:
            await self._columns(mibs.OLD_ADDRESSES, tables)
        await self._columns(mibs.ENTITIES, tables)
        index = mibs.device_entity(tables["entPhysicalClass"])
        if index is not None:
            wanted = {(*oid, *index): name for name, oid in mibs.ENTITY.items()}
            tables |= {wanted[oid]: {index: value} for oid, value in await self._get(wanted) if oid in wanted}
        if "lldpLocChassisId" in tables:
            await self._columns(mibs.NEIGHBOURS, tables)
        if "dot1dBaseBridgeAddress" in tables:
            await self._columns(mibs.VLANS, tables)

    async def _columns(self, columns: Mapping[str, Index], tables: dict[str, dict[Index, Value]]) -> None:
        for name, oid in columns.items():
            tables[name] = await self._walk(oid)

    async def _walk(self, column: Index) -> dict[Index, Value]:
        found: dict[Index, Value] = {}
        at = column
        while True:
            answer = _read(await hlapi.bulk_cmd(*self._peer, 0, BULK, *_named([at]), lookupMib=False))
            for oid, value in answer:
                if oid[: len(column)] != column or isinstance(value, _NOTHING):
                    return found
                if oid <= at:
                    raise _RefusedError("its table does not go on in order")
                at, found[oid[len(column) :]] = oid, _plain(value)
            if not answer:
                return found
            if len(found) > MAX_ROWS:
                raise _RefusedError(f"a table has more than {MAX_ROWS:,} rows")

    async def _get(self, oids: Iterable[Index]) -> list[tuple[Index, Value]]:
        answer = _read(await hlapi.get_cmd(*self._peer, *_named(oids), lookupMib=False))
        return [(oid, _plain(value)) for oid, value in answer if not isinstance(value, _NOTHING)]


def _named(oids: Iterable[Index]) -> list[Any]:
    return [hlapi.ObjectType(hlapi.ObjectIdentity(oid)) for oid in oids]


def _read(answered: Any) -> list[tuple[Index, Any]]:
    """What an answer holds; raises _SilentError and _RefusedError for those that hold nothing."""
    failed, status, _place, answer = answered
    if isinstance(failed, errind.RequestTimedOut):
        raise _SilentError
    if failed:
        raise _RefusedError(str(failed), denied=True)
    if int(status):
        raise _RefusedError(status.prettyPrint(), denied=int(status) in _NO_RIGHT)
    return [(tuple(oid), value) for oid, value in answer]


def _plain(value: Any) -> Value:
    if hasattr(value, "asNumbers"):
        return bytes(value.asNumbers())
    return int(value) if hasattr(value, "__int__") else str(value)
