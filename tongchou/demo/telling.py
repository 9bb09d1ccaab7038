"""Scenarios told to a terminal: as readable lines, or as one JSON line with the steps on stderr; and many of them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tongchou.demo.alertmanager import NotBeside, binaries
from tongchou.demo.control import Shop, ShopError
from tongchou.demo.faults import FAULTS, UnknownFault, faults
from tongchou.demo.result import Result
from tongchou.demo.scenario import Say, play

PAIR = "slow-dependency+memory-leak"
ALL = (*FAULTS, PAIR)
TABLE_WIDTH = 170  # characters; a narrower terminal wraps its lines rather than its numbers


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line. `name`: a scenario, or all; each is played `repeat` times."""

    name: str
    seed: int = 1
    repeat: int = 1
    as_json: bool = False
    keep: bool = False
    beside: bool = False
    json_out: Path | None = None


def tell(wish: Wish) -> bool:
    """Play what was wished for; returns whether every run was ok.

    Of one run the result is printed as the last line (JSON) or as a table; of several, a JSON line each and a table.
    """
    notes = Console(stderr=wish.as_json, highlight=False)
    names = ALL if wish.name == "all" else (wish.name,)
    try:
        for name in names:
            faults(name)
        if wish.beside:
            binaries()
    except (UnknownFault, NotBeside) as error:
        notes.print(str(error), soft_wrap=True)
        return False
    results = []
    for turn in range(wish.repeat):
        for name in names:
            results.append(_one(name, wish.seed + turn, wish, notes))
            if (
                wish.json_out is not None
            ):  # after each run, so that a run that is cut off does not take the others along
                wish.json_out.write_text(
                    json.dumps([each.as_record() for each in results], ensure_ascii=False, indent=1)
                )
    if len(results) > 1:
        notes.width = max(notes.width, TABLE_WIDTH)
        notes.print(overview(results))
    return all(each.ok for each in results)


def _one(name: str, seed: int, wish: Wish, notes: Console) -> Result:
    say = _sayer(notes)
    result, folder = play(name, seed=seed, folder=None, say=say, beside=wish.beside)
    if wish.keep or not result.ok:
        say("folder kept", str(folder))
    else:
        shutil.rmtree(folder, ignore_errors=True)
    if wish.as_json:
        print(json.dumps(result.as_json(), ensure_ascii=False), flush=True)  # noqa: T201 - the line that scripts read
    else:
        notes.print(_table(result))
    return result


def _sayer(notes: Console) -> Say:
    begun = time.monotonic()

    def say(headline: str, detail: str) -> None:
        notes.print(f"[dim]{time.monotonic() - begun:6.1f} s[/dim]  [bold]{headline:<20}[/bold] ", end="")
        notes.print(detail, markup=False)

    return say


def _table(result: Result) -> Table:
    table = Table(title=result.scenario, show_header=False)
    for key, value in result.as_json().items():
        suspects = key == "top_suspects"
        lines = "\n".join(f"{each['rank']}. {each['name']} ({each['score']})" for each in value) if suspects else value
        table.add_row(key, str(lines))
    return table


def _ranks(value: int | dict[str, int | None] | None) -> str:
    ranks = value.values() if isinstance(value, dict) else [value]
    return ", ".join("-" if rank is None else str(rank) for rank in ranks)


def _baseline(result: Result, method: str) -> str:
    return ", ".join(_ranks(each.get(method)) for each in result.baseline_ranks.values()) or "-"


def _notices(result: Result, sender: str) -> str:
    told = result.notices_by_status.get(sender)
    return f"{sum(told.values())} ({told['firing']}+{told['resolved']})" if told else "-"


def _money(cost: dict[str, Any] | None) -> str:
    if not cost or "value" not in cost:
        return "-"
    return f"{cost['value']:,.0f} ({cost['low']:,.0f} to {cost['high']:,.0f})"


_COLUMNS: dict[str, Callable[[Result], str]] = {
    "scenario": lambda result: result.scenario,
    "detected s": lambda result: str(result.detected_seconds),
    "recovered s": lambda result: str(result.recovered_seconds),
    "cause rank": lambda result: _ranks(result.true_cause_rank),
    "latest change": lambda result: _baseline(result, "latest_change"),
    "largest z": lambda result: _baseline(result, "largest_z"),
    "notices": lambda result: _notices(result, "platform"),
    "Alertmanager": lambda result: _notices(result, "alertmanager"),
    "revenue lost CNY": lambda result: _money(result.revenue_lost_cny),
    "orders lost": lambda result: str(result.orders_lost),
    "ok": lambda result: "yes" if result.ok else "NO",
}


def overview(results: Sequence[Result]) -> Table:
    """One row a run. Ranks: of the true cause, then what two simple methods would have answered ("-": not in five).

    Notices: all (firing + resolved).
    """
    table = Table(title="scenarios")
    for column in _COLUMNS:
        table.add_column(column, overflow="fold")
    for result in results:
        table.add_row(*(cell(result) for cell in _COLUMNS.values()))
    return table


def break_running(name: str, data: Path) -> bool:
    """Inject a fault into the shop of the demo that runs on this data folder; returns whether that went well."""
    console = Console(highlight=False)
    try:
        wanted = faults(name)
        with Shop.running(data / "demo-shop") as shop:
            for fault in wanted:
                console.print(f"{fault.name}: {fault.inject(shop)}", soft_wrap=True)
    except (UnknownFault, ShopError) as error:
        console.print(str(error), soft_wrap=True)
        return False
    targets = sorted({target for fault in wanted for target in fault.execution_targets})
    console.print(
        "Watch the incident room. The procedure it suggests needs execution.enabled, and in execution.targets: "
        f"{', '.join(targets)}.",
        soft_wrap=True,
    )
    return True
