"""Customers: visits follow the shop's day, one in three visits ends in a checkout.

Every acknowledged order id goes to `acknowledged.log`, flushed line by line: the list that a scenario compares with the
surviving database. A line is written only after the shop's 201 was received.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

from tongchou.demo.shop.curve import phase_at, shape
from tongchou.demo.shop.frame import Frame
from tongchou.demo.shop.goods import COUPONS, PRICES_FEN
from tongchou.demo.shop.http1 import CallFailed, Request, Response, answer, problem

CHECKOUT_SHARE = 0.35
CUSTOMERS = 200  # at most so many at once; beyond that a visit does not happen, as in a real shop's lost traffic


class Load:
    """Sends visits to the load balancer at the rate of the curve times `multiplier`."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        options = frame.settings.options
        self._peak = float(options["visits_per_second"])
        self._day_seconds = float(options["day_seconds"])
        self._noon = float(options["noon"])
        self._random = random.Random(int(options["seed"]))
        self._prefix = f"{int(time.time() * 1000):x}"
        self._number = 0
        self._multiplier = 1.0
        self._busy: set[asyncio.Task[None]] = set()
        self._acknowledged = (Path(frame.settings.folder) / "acknowledged.log").open("a", buffering=1)
        registry = frame.registry
        self._visits = registry.counter("shop_customer_requests_total", "Customers' requests by outcome.",
                                        ("action", "outcome"))  # fmt: skip
        self._seconds = registry.histogram(
            "shop_customer_request_duration_seconds", "As customers see it.", ("action",)
        )
        self._dropped = registry.counter("shop_customers_dropped_total", "Visits given up because too many were open.")
        target = registry.gauge("shop_load_target_visits_per_second", "What the day's curve asks for now.")
        registry.before.append(lambda: target.set(self.target_rate()))
        for action in ("browse", "checkout"):
            for outcome in ("ok", "error"):
                self._visits.add(0, action, outcome)
        frame.guarded("POST", "/multiplier", self.set_multiplier)
        frame.tasks.append(self.arrivals)
        frame.closing.append(self._acknowledged.close)

    def target_rate(self) -> float:
        """Visits a second now."""
        phase = phase_at(time.time(), self._day_seconds, self._noon)
        return self._peak * shape(phase) * self._multiplier

    async def set_multiplier(self, request: Request) -> Response:
        """{"value": 3} triples the load, for a traffic surge."""
        value = request.json().get("value")
        if not isinstance(value, int | float) or not 0 <= value <= 50:
            return problem(422, "value is a number from 0 to 50")
        self._multiplier = float(value)
        return answer({"value": self._multiplier})

    async def arrivals(self) -> None:
        """Start visits as a Poisson process; late wake-ups are made up for."""
        next_at = time.monotonic()
        while True:
            next_at += self._random.expovariate(max(0.1, self.target_rate()))
            pause = next_at - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            elif pause < -1.0:
                next_at = time.monotonic()  # this process was stopped for a while: do not send the backlog at once
            if len(self._busy) >= CUSTOMERS:
                self._dropped.add()
                continue
            task = asyncio.create_task(self._visit())
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)

    async def _visit(self) -> None:
        if await self._send("browse", "GET", "/", None) != 200:
            return
        if self._random.random() >= CHECKOUT_SHARE:
            return
        await asyncio.sleep(self._random.uniform(0.05, 0.4))
        self._number += 1
        order_id = f"{self._prefix}-{self._number:06d}"
        if await self._send("checkout", "POST", "/checkout", self._order(order_id)) == 201:
            self._acknowledged.write(order_id + "\n")

    def _order(self, order_id: str) -> dict[str, object]:
        skus = self._random.sample(sorted(PRICES_FEN), self._random.choice((1, 1, 1, 2, 3)))
        order: dict[str, object] = {
            "order_id": order_id,
            "lines": [{"sku": sku, "quantity": self._random.choice((1, 1, 2))} for sku in skus],
        }
        if self._random.random() < 0.2:
            order["coupon"] = self._random.choice(sorted(COUPONS))
        return order

    async def _send(self, action: str, method: str, path: str, body: object | None) -> int:
        """One request; returns the status, 0 when there was no answer. A declined card is not the shop's error."""
        address = self._frame.settings.options["balancer"]
        start, status = time.perf_counter(), 0
        try:
            response = await self._frame.client.call(method, address, path, body, timeout_seconds=3.0)
            status = response.status
        except CallFailed as error:
            self._frame.log.warning("no answer", action=action, detail=str(error))
        self._seconds.observe(time.perf_counter() - start, action)
        self._visits.add(1, action, "ok" if 200 <= status < 500 else "error")
        return status
