"""`tongchou sources`: what a source would change, shown as a plan. It is a client of the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from tongchou.cli.asking import ask_json, asking, client, content_of

app = typer.Typer(no_args_is_help=True, help="The sources of the inventory.")
SAME, DIFFERS = 0, 1  # exit codes, beside NOT_ASKED
SECONDS = 330.0  # a look may take minutes


@app.callback()
def sources() -> None:
    """The sources of the inventory."""


@app.command()
def plan(
    name: Annotated[str, typer.Argument(help="The source's name.")],
    file: Annotated[Path | None, typer.Option(help="What this file would do, for sources that read files.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    url: Annotated[str | None, typer.Option(help="The server. Default: that of this data folder.")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="TONGCHOU_TOKEN", help="An API token of who may manage sources.")
    ] = None,
) -> None:
    """Look now and show what would change; nothing is written. Exit code 0 nothing, 1 something, 2 no answer."""
    with asking():
        found = _plan(name, file, url, token)
    print(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(shown(found)))
    raise typer.Exit(DIFFERS if found["changes"] else SAME)


def _plan(name: str, file: Path | None, url: str | None, token: str | None) -> dict[str, Any]:
    address = f"/api/v1/sources/{quote(name, safe='')}"
    with client(url, token, timeout_seconds=SECONDS) as server:
        if file is None:
            return ask_json(server, "POST", f"{address}/plan")
        octets = {"Content-Type": "application/octet-stream"}
        asked = {"file": file.name, "dry_run": "true"}
        return ask_json(server, "POST", f"{address}/documents", params=asked, content=content_of(file), headers=octets)


def shown(found: dict[str, Any]) -> list[str]:
    """Return the lines of a plan: + what comes, ~ what changes, - what goes, and the counts last."""
    lines, told = [], found["lines"]
    for each in told["created"]:
        lines.append(f"+ {each['kind']} {each['name']}")
        lines += [f"    + {what} = {new}" for what, _old, new in each["changes"]]
    for each in told["changed"]:
        lines.append(f"~ {each['kind']} {each['name']}")
        lines += [f"    ~ {what}: {old or '-'} -> {new or '-'}" for what, old, new in each["changes"]]
    lines += [f"- {each['kind']} {each['name']}" for each in told["gone"]]
    lines += [f"{each['sign']} {each['from']} {each['type']} {each['to']}" for each in told["relations"]]
    lines += [f"! {note['text']}" for note in (*found["warnings"], *found["conflicts"])]
    if told["cut"]:
        lines.append(f"  ... {told['cut']}")
    counts = found["counts"]
    lines.append(f"+ {counts.get('created', 0)}  ~ {counts.get('changed', 0)}  - {counts.get('gone', 0)}")
    return lines
