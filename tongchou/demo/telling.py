"""A scenario told to a terminal: as readable lines, or as one JSON line with the steps on stderr."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from tongchou.demo.faults import FAULTS
from tongchou.demo.scenario import Result, play


def tell(name: str, *, seed: int, as_json: bool, keep: bool) -> bool:
    """Play the scenario and print its result as the last line (JSON) or as a table; returns `ok`."""
    notes = Console(stderr=as_json, highlight=False)
    if name not in FAULTS:
        notes.print(f"There is no scenario {name!r}. Known: {', '.join(FAULTS)}.")
        return False
    begun = time.monotonic()

    def say(headline: str, detail: str) -> None:
        notes.print(f"[dim]{time.monotonic() - begun:6.1f} s[/dim]  [bold]{headline:<20}[/bold] ", end="")
        notes.print(detail, markup=False)

    result, folder = play(name, seed=seed, folder=None, say=say)
    if keep or not result.ok:
        say("folder kept", str(folder))
    else:
        shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        print(json.dumps(asdict(result), ensure_ascii=False), flush=True)  # noqa: T201 - the line that scripts read
    else:
        notes.print(_table(result))
    return result.ok


def _table(result: Result) -> Table:
    table = Table(title=result.scenario, show_header=False)
    for key, value in asdict(result).items():
        suspects = key == "top_suspects"
        lines = "\n".join(f"{each['rank']}. {each['name']} ({each['score']})" for each in value) if suspects else value
        table.add_row(key, str(lines))
    return table
