"""`make demo`: the platform and the shop, side by side, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tongchou.demo import history
from tongchou.demo.client import ApiError, Platform
from tongchou.demo.control import Shop, ShopError
from tongchou.demo.faults import FAULTS
from tongchou.demo.rules import rule_file
from tongchou.demo.serving import NotServing, Serving
from tongchou.demo.setup import APPROVER, OPERATOR, People, alert, connect, earn, people
from tongchou.demo.supervisor import Options
from tongchou.demo.topology import SHOP

SCRAPE_SECONDS = 5.0
DEFAULT_PORT = 8420


def show(*, seed: int, day_seconds: float) -> None:
    """Start everything, say what to look at, wait for Ctrl-C or the end of a child."""
    console = Console(highlight=False)
    data = Path(os.environ.get("TONGCHOU_DATA", "data")).resolve()
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = int(os.environ.get("TONGCHOU_PORT", DEFAULT_PORT))
    options = Options(day_seconds=day_seconds, noon=time.time(), seed=seed)
    for number in (signal.SIGTERM, signal.SIGINT):  # also when a shell started us with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            serving = stack.enter_context(Serving(data, port, data / "demo-token.json", None))
            shop = stack.enter_context(Shop(data / "demo-shop", options))
            persons = _prepare(console, stack, serving, shop)
            _explain(console, serving.url, shop, persons)
            while serving.runs:
                time.sleep(0.5)
            console.print("The platform ended.")
    except (ApiError, NotServing, ShopError) as error:
        console.print(f"[red]The demo could not start:[/red] {error}")
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        console.print("Stopped.")


def _prepare(console: Console, stack: ExitStack, serving: Serving, shop: Shop) -> People:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting the platform", total=5)
        admin = serving.wait_ready()
        stack.callback(admin.close)
        progress.update(task, advance=1, description="opening the shop")
        shop.wait_open()
        progress.update(task, advance=1, description="writing three shop days of history")
        _fill(admin, shop)
        progress.update(task, advance=1, description="connecting the shop")
        persons = people(admin)
        stack.callback(persons.operator.close)
        stack.callback(persons.approver.close)
        connect(admin, shop, scrape_seconds=SCRAPE_SECONDS)
        progress.update(task, advance=1, description="waiting for the first samples")
        _wait_for_samples(admin)
        earn(admin, day_seconds=shop.options.day_seconds)
        alert(admin, rule_file())
        progress.update(task, advance=1)
    return persons


def _fill(admin: Platform, shop: Shop) -> None:
    """History only where there is none yet: a second run goes on with what the first one measured."""
    if admin.number('count(last_over_time(up{env="demo"}[3h]))'):
        return
    plan = history.Plan(
        end=shop.opened_at,
        day_seconds=shop.options.day_seconds,
        noon=shop.options.noon,
        visits_per_second=shop.options.visits_per_second,
        dense_seconds=180.0,
        dense_step_seconds=SCRAPE_SECONDS,
        seed=shop.options.seed,
    )
    history.push(plan, f"{admin.url}/prometheus/api/v1/write", admin.token)


def _wait_for_samples(admin: Platform) -> None:
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        if admin.number('count(up{env="demo"} == 1)') == len(SHOP) + 1:
            return
        time.sleep(0.5)


def _explain(console: Console, url: str, shop: Shop, persons: People) -> None:
    logins = "".join(f"  {name:<10} {password}\n" for name, password in persons.passwords.items())
    console.print(
        f"\n[bold green]Ready 就绪[/bold green]  {url}\n\n"
        f"  shop         http://{shop.facts['shop']}  ({len(SHOP)} processes, balancer {shop.facts['balancer']})\n"
        f"  supervisor   http://{shop.facts['supervisor']}/processes\n"
        f"  its logs     {shop.folder / 'logs'}\n",
        soft_wrap=True,
    )
    if logins:
        console.print(f"Two more accounts, shown once (nobody approves their own request):\n{logins}", soft_wrap=True)
    faults = "".join(f"  {fault.name:<16} {fault.about}\n" for fault in FAULTS.values())
    targets = ", ".join(sorted({target for fault in FAULTS.values() for target in fault.execution_targets}))
    console.print(
        f"Break it     tongchou demo --break NAME, in another terminal; then watch the incident room. NAME is one of\n"
        f"{faults}"
        f"Repair it    request the suggested procedure as {OPERATOR}, approve it as {APPROVER}. Execution is off\n"
        "             until an administrator sets execution.enabled, and execution.targets to what may be altered:\n"
        f"             {targets}.\n"
        "See it done  tongchou demo --scenario NAME, or all\n\n"
        "Ctrl-C ends the platform and the shop.",
        soft_wrap=True,
        markup=False,
    )
