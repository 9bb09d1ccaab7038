"""`tongchou demo`: the platform and the shop to look at, or one scenario from fault to recovery."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    scenario: Annotated[
        str | None, typer.Option(help="Play one fault from injection to recovery: primary-down, bad-release.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="With --scenario: print one JSON line, the last one.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of load and history.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="With --scenario: keep the folder and say where it is.")] = False,
    day_minutes: Annotated[float, typer.Option(min=1, help="Length of the shop's day.")] = 60.0,
) -> None:
    """Start the platform and a small shop of real processes (Ctrl-C ends both), or play a scenario on free ports."""
    if scenario is None:
        from tongchou.demo.showing import show

        show(seed=seed, day_seconds=day_minutes * 60)
        return
    from tongchou.demo.telling import tell

    raise typer.Exit(0 if tell(scenario, seed=seed, as_json=json, keep=keep) else 1)
