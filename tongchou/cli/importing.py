"""`tongchou import`: a file into a list of a running server, with the rights of a token. It is a client of the API."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from tongchou.cli.asking import ask_json, asking, client, content_of

DONE, WRONG = 0, 1  # exit codes, beside NOT_ASKED
POLL_SECONDS = 0.3
UNDER_WAY = ("queued", "running")
REFUSED_ROWS = "import.refused"  # the problem of an import whose rows are not all good


def import_file(
    kind: Annotated[str, typer.Argument(help="What the rows are, e.g. inventory.resource, core.user.")],
    file: Annotated[Path, typer.Argument(help="A CSV, XLSX or JSON file.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Resources: write the good rows and leave the refused ones out.")
    ] = False,
    encoding: Annotated[str, typer.Option(help="utf-8 or gb18030. Default: found out.")] = "",
    url: Annotated[str | None, typer.Option(help="The server. Default: that of this data folder.")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="TONGCHOU_TOKEN", help="An API token of who may edit what the rows are.")
    ] = None,
) -> None:
    """Import a file: exit code 0 all rows are good, 1 rows are wrong or failed, 2 the server did not take the file."""
    with asking({REFUSED_ROWS: WRONG}):
        batch = _import(kind, file, dry_run, leave_out, encoding, url, token)
        _tell(batch, as_json=as_json)
    counts = batch["counts"]
    raise typer.Exit(WRONG if counts["refused"] or counts["failed"] else DONE)


def _import(
    kind: str, file: Path, dry_run: bool, leave_out: bool, encoding: str, url: str | None, token: str | None
) -> dict[str, Any]:
    """Plan the file; unless it is a dry run, or rows are refused, do exactly what was planned. Returns the batch."""
    content = content_of(file)
    with client(url, token, timeout_seconds=300) as server:
        server.headers["Content-Type"] = "application/octet-stream"
        asked = {"kind": kind, "name": file.name, "encoding": encoding}
        batch = ask_json(server, "POST", "/api/v1/imports", params=asked, content=content)
        if dry_run or (batch["counts"]["refused"] and not leave_out) or not batch["total"]:
            return batch
        address = f"/api/v1/batches/{batch['id']}"
        batch = ask_json(server, "POST", f"{address}/run", params={"digest": batch["digest"]})
        while batch["state"] in UNDER_WAY:
            time.sleep(POLL_SECONDS)
            batch = ask_json(server, "GET", address)
    return batch


def _tell(batch: dict[str, Any], *, as_json: bool) -> None:
    """The figures on stdout; every row that is wrong on stderr with its number, field, value, and what helps."""
    from django.utils.translation import gettext as _

    counts = batch["counts"]
    if as_json:
        print(json.dumps(batch, ensure_ascii=False, indent=2))
    else:
        words = {
            "create": _("to create"),
            "change": _("to change"),
            "unchanged": _("unchanged"),
            "refused": _("refused"),
            "done": _("done"),
            "failed": _("failed"),
        }
        said = ", ".join(f"{word} {counts[name]}" for name, word in words.items() if counts[name])
        nothing = _("No rows here.")
        print(f"{said or nothing} ({batch['id']})")
        if batch["ignored"]:
            print(_("columns left out:"), ", ".join(batch["ignored"]))
    for row in batch["errors"]:
        field = f" {row['field']}" if row.get("field") else ""
        value = f" = {row['value']!r}" if row.get("value") else ""
        place = _("row %(number)s") % {"number": row["row"]}
        print(f"{place}:{field}{value}: {row.get('detail', '')} {row.get('remedy', '')}".rstrip(), file=sys.stderr)
    more = counts["refused"] + counts["failed"] - len(batch["errors"])
    if more > 0:
        print(_("and %(more)s rows more") % {"more": more}, file=sys.stderr)
    if counts["refused"] and not counts["done"]:
        print(_("Nothing was written."), file=sys.stderr)
