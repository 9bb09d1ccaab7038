"""`tongchou demo`: the platform and the shop to look at, or scenarios from fault to recovery."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

SCENARIOS = "primary-down, bad-release, traffic-surge, memory-leak, slow-dependency, disk-fill"


def demo(
    scenario: Annotated[
        str | None,
        typer.Option(
            help=f"Play a fault from injection to recovery: {SCENARIOS}; a+b: two at once; all: each and a pair."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="With --scenario: print one JSON line, the last one.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of load and history.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="With --scenario: keep the folder and say where it is.")] = False,
    repeat: Annotated[int, typer.Option(min=1, help="With --scenario: play it so often, each with the next seed.")] = 1,
    json_out: Annotated[Path | None, typer.Option(help="With --scenario: keep all measurements in this file.")] = None,
    beside_alertmanager: Annotated[
        bool,
        typer.Option(
            "--beside-alertmanager", help="With --scenario: count what Prometheus and Alertmanager would send."
        ),
    ] = False,
    break_: Annotated[
        str | None, typer.Option("--break", help="Inject a fault into the demo that runs on this data folder.")
    ] = None,
    day_minutes: Annotated[float, typer.Option(min=1, help="Length of the shop's day.")] = 60.0,
) -> None:
    """Start the platform and a small shop of real processes (Ctrl-C ends both), or play scenarios on free ports."""
    if break_ is not None:
        from tongchou.demo.telling import break_running

        data = Path(os.environ.get("TONGCHOU_DATA", "data")).resolve()
        raise typer.Exit(0 if break_running(break_, data) else 1)
    if scenario is None:
        from tongchou.demo.showing import show

        show(seed=seed, day_seconds=day_minutes * 60)
        return
    from tongchou.demo.telling import Wish, tell

    wish = Wish(scenario, seed, repeat, as_json=json, keep=keep, beside=beside_alertmanager, json_out=json_out)
    raise typer.Exit(0 if tell(wish) else 1)
