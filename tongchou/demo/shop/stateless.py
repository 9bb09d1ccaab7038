"""The stateless services: storefront, catalogue, orders, payments, cache.

Every call that changes something carries the order's id and may be repeated; a call between services that finds one
process gone tries the next one of the same service.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import time
from collections import OrderedDict
from collections.abc import Iterator

from tongchou.demo.shop.frame import Frame
from tongchou.demo.shop.goods import COUPONS, PRICES_FEN
from tongchou.demo.shop.http1 import CallFailed, Request, Response, answer, problem
from tongchou.demo.shop.spool import Full, Spool

CACHE_SECONDS = 5.0
# A storefront process renders 8 pages at once, each in about 0.3 s: 27 pages a second. What waits longer than two
# seconds would not be answered in time, so more than 48 do not wait.
RENDERERS, RENDER_QUEUE = 8, 48
RENDER_SECONDS = (0.25, 0.35)
_ORDER_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Peers:
    """Calls the processes of one service in turn; a process that cannot be reached is passed over."""

    def __init__(self, frame: Frame, service: str) -> None:
        self._frame, self._service = frame, service
        self._addresses = frame.settings.others(service)
        self._turn: Iterator[int] = itertools.count(random.randrange(1_000))

    async def call(self, method: str, path: str, body: object | None = None, *, timeout_seconds: float) -> Response:
        """One answer from the service. Raises CallFailed when no process gives one."""
        start = next(self._turn)
        failure = CallFailed("refused", f"no process of {self._service} is known")
        for offset in range(len(self._addresses)):
            address = self._addresses[(start + offset) % len(self._addresses)]
            try:
                return await self._frame.call(self._service, method, address, path, body, timeout_seconds)
            except CallFailed as error:
                failure = error
                if error.reason == "timeout":
                    break  # the caller's own deadline is near; a second wait would only pile up
        raise failure


class Storefront:
    """The pages customers see: lists goods, takes checkouts."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        frame.limit(RENDERERS, RENDER_QUEUE)
        self._catalogue, self._orders = Peers(frame, "catalogue"), Peers(frame, "orders")
        frame.route("GET", "/", self.page)
        frame.route("POST", "/checkout", self.checkout)

    async def page(self, _request: Request) -> Response:
        """The front page's data."""
        try:
            response = await self._catalogue.call("GET", "/goods", timeout_seconds=1.5)
        except CallFailed as error:
            return problem(502, f"catalogue: {error}")
        if response.status != 200:
            return problem(502, f"catalogue answered {response.status}")
        await asyncio.sleep(random.uniform(*RENDER_SECONDS))  # rendering, without burning the machine's CPU
        return answer({"shop": "统筹小店", "goods": response.json()["items"]})

    async def checkout(self, request: Request) -> Response:
        """Pass an order on; the customer learns whether it is safely kept."""
        try:
            response = await self._orders.call("POST", "/orders", request.json(), timeout_seconds=2.5)
        except CallFailed as error:
            return problem(504 if error.reason == "timeout" else 502, f"orders: {error}")
        if response.status >= 500:
            return problem(502, f"orders answered {response.status}")
        return Response(response.status, response.body)


class Catalogue:
    """The goods, from the cache when it has them, else from any database process."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._cache, self._database = Peers(frame, "cache"), Peers(frame, "database")
        frame.route("GET", "/goods", self.goods)

    async def goods(self, _request: Request) -> Response:
        """All goods on sale."""
        try:
            cached = await self._cache.call("GET", "/values/goods", timeout_seconds=0.5)
            if cached.status == 200:
                return Response(200, cached.body)
        except CallFailed as error:
            self._frame.log.warning("cache failed", detail=str(error))
        try:
            fresh = await self._database.call("GET", "/goods", timeout_seconds=1.0)
        except CallFailed as error:
            return problem(503, f"database: {error}")
        if fresh.status != 200:
            return problem(503, f"database answered {fresh.status}")
        try:
            await self._cache.call("PUT", "/values/goods", fresh.json(), timeout_seconds=0.5)
        except CallFailed as error:
            self._frame.log.warning("cache failed", detail=str(error))
        return Response(200, fresh.body)


class PrimaryFinder:
    """Knows which database process takes writes, by asking all of them for role and epoch when it has to."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._addresses = frame.settings.others("database")
        self._current: str | None = None
        self._asked_at = 0.0
        self._lock = asyncio.Lock()

    def forget(self, address: str) -> None:
        """The process at `address` did not take a write."""
        if self._current == address:
            self._current = None

    async def find(self) -> str | None:
        """Address of the primary with the highest epoch, None when there is none; asks at most five times a second."""
        if self._current is None:
            async with self._lock:
                if self._current is None and time.monotonic() - self._asked_at > 0.2:
                    self._current = await self._ask()
                    self._asked_at = time.monotonic()
        return self._current

    async def _ask(self) -> str | None:
        answers = await asyncio.gather(*(self._role(address) for address in self._addresses))
        primaries = [found for found in answers if found is not None]
        return max(primaries)[1] if primaries else None

    async def _role(self, address: str) -> tuple[int, str] | None:
        try:
            response = await self._frame.client.call("GET", address, "/role", timeout_seconds=0.5)
        except CallFailed:
            return None
        value = response.json()
        return (int(value["epoch"]), address) if value.get("role") == "primary" else None


class Orders:
    """Prices an order, has it paid, stores it; counts revenue when, and only when, the order is safely kept."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._payments, self._primary = Peers(frame, "payments"), PrimaryFinder(frame)
        self._spool = Spool(frame)
        self._orders = frame.registry.counter("shop_orders_total", "Orders by outcome.", ("outcome",))
        self._revenue = frame.registry.counter("shop_revenue_cny_total", "Price of acknowledged orders in CNY.")
        for outcome in ("accepted", "declined", "invalid", "failed"):
            self._orders.add(0, outcome)
        frame.route("POST", "/orders", self.place)

    async def place(self, request: Request) -> Response:
        """201 when stored, 402 declined, 422 invalid, 5xx when it could not be kept."""
        order = request.json()
        try:
            amount_fen = self._price(order)
        except (KeyError, TypeError, ValueError) as error:
            self._orders.add(1, "invalid")
            return problem(422, f"order: {error!r}")
        if random.random() < self._frame.switches.get("error_share", 0.0):
            self._orders.add(1, "failed")
            self._frame.log.error("unhandled exception", exception="KeyError: 'rounding_mode'", order=order["order_id"],
                                  where="price.py:118 in discount")  # fmt: skip
            return problem(500, "internal error")
        outcome, response = await self._keep(str(order["order_id"]), amount_fen, order)
        self._orders.add(1, outcome)
        return response

    def _price(self, order: dict[str, object]) -> int:
        """The order's price in fen. Raises KeyError, TypeError, ValueError for an order that makes no sense."""
        lines = order["lines"]
        if not isinstance(lines, list) or not lines or not _ORDER_ID.fullmatch(str(order["order_id"])):
            raise ValueError("an order needs lines and an order_id of letters, digits and hyphens")
        total = sum(PRICES_FEN[line["sku"]] * int(line["quantity"]) for line in lines)
        percent_off = COUPONS.get(str(order.get("coupon", "")), 0)
        if total <= 0:
            raise ValueError("an order needs a positive quantity")
        return total * (100 - percent_off) // 100

    async def _keep(self, order_id: str, amount_fen: int, order: dict[str, object]) -> tuple[str, Response]:
        charge = {"order_id": order_id, "amount_fen": amount_fen}
        body = json.dumps({**order, "amount_fen": amount_fen}, ensure_ascii=False)
        try:
            self._spool.write(f"{order_id}.invoice", body)
        except (Full, OSError) as error:
            return "failed", problem(507, f"invoice: {error}")
        try:
            paid = await self._payments.call("POST", "/charges", charge, timeout_seconds=1.0)
        except CallFailed as error:
            return "failed", problem(503, f"payments: {error}")
        if paid.status == 402:
            return "declined", problem(402, "payment declined")
        if paid.status != 200:
            return "failed", problem(503, f"payments answered {paid.status}")
        refusal = await self._store(order_id, body, amount_fen)
        if refusal is None:
            return "accepted", answer({"order_id": order_id, "amount_fen": amount_fen}, 201)
        return "failed", refusal

    async def _store(self, order_id: str, body: str, amount_fen: int) -> Response | None:
        """Write to the primary, looking for a new one once; None when stored."""
        detail = "no primary database"
        for _attempt in range(2):
            address = await self._primary.find()
            if address is None:
                break
            try:
                stored = await self._frame.call(
                    "database", "POST", address, "/orders", {"id": order_id, "body": body}, timeout_seconds=1.5
                )
            except CallFailed as error:
                self._primary.forget(address)
                detail = str(error)
                if error.reason == "timeout":
                    break
                continue
            if stored.status == 200:
                if stored.json()["created"]:
                    self._revenue.add(amount_fen / 100)
                    self._frame.log.info("order kept", order=order_id, amount_cny=amount_fen / 100)
                return None
            self._primary.forget(address)
            detail = f"database answered {stored.status}"
        return problem(503, f"database: {detail}")


class Payments:
    """Asks the bank (simulated: a few milliseconds, one card in fifty declined). Charges are idempotent by order."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._done: OrderedDict[str, int] = OrderedDict()
        self._charges = frame.registry.counter("payments_charges_total", "Charges by outcome.", ("outcome",))
        for outcome in ("approved", "declined", "failed"):
            self._charges.add(0, outcome)
        frame.route("POST", "/charges", self.charge)

    async def charge(self, request: Request) -> Response:
        """200 approved, 402 declined; the same order id gets the same answer."""
        order_id = str(request.json().get("order_id", ""))
        if not order_id:
            return problem(422, "order_id is missing")
        if random.random() < self._frame.switches.get("error_share", 0.0):
            self._charges.add(1, "failed")
            self._frame.log.error("unhandled exception", exception="TypeError: amount must be Decimal, not str")
            return problem(500, "internal error")
        status = self._done.get(order_id)
        if status is None:
            await asyncio.sleep(random.uniform(0.003, 0.012))
            status = 402 if random.random() < 0.02 else 200
            self._done[order_id] = status
            if len(self._done) > 10_000:
                self._done.popitem(last=False)
            self._charges.add(1, "declined" if status == 402 else "approved")
        return answer({"order_id": order_id}) if status == 200 else problem(402, "the bank declined")


class Cache:
    """Values with a short life, in memory."""

    def __init__(self, frame: Frame) -> None:
        self._values: dict[str, tuple[float, bytes]] = {}
        registry = frame.registry
        self._hits = registry.counter("cache_hits_total", "Reads that found a value.")
        self._misses = registry.counter("cache_misses_total", "Reads that found none.")
        entries = registry.gauge("cache_entries", "Values kept now.")
        registry.before.append(lambda: entries.set(len(self._values)))
        frame.route("GET", "/values/*", self.read)
        frame.route("PUT", "/values/*", self.write)

    async def read(self, request: Request) -> Response:
        """The value under the path's last segment, 404 when absent or too old."""
        expires, body = self._values.get(request.path, (0.0, b""))
        if time.monotonic() >= expires:
            self._values.pop(request.path, None)
            self._misses.add()
            return problem(404, "not cached")
        self._hits.add()
        return Response(200, body)

    async def write(self, request: Request) -> Response:
        """Keep a value for CACHE_SECONDS."""
        if len(self._values) >= 10_000:
            self._values.clear()
        self._values[request.path] = (time.monotonic() + CACHE_SECONDS, request.body)
        return answer({"kept_seconds": CACHE_SECONDS})
