"""`tongchou inventory`: what a running server gives out to other tools, on stdout. It is a client of the API."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from tongchou.cli.asking import ask, asking, client

app = typer.Typer(no_args_is_help=True, help="The inventory for Ansible, hosts files, DNS, NetBox.")

Kind = Annotated[str, typer.Option(help='Kinds, e.g. host,vm; or "all".')]
Labels = Annotated[list[str] | None, typer.Option("--label", help="name or name=value; may be repeated, all must fit.")]
Team = Annotated[str | None, typer.Option(help="The owning team.")]
Url = Annotated[str | None, typer.Option(envvar="TONGCHOU_URL", help="The server. Default: that of this data folder.")]
Token = Annotated[str | None, typer.Option(envvar="TONGCHOU_TOKEN", help="An API token that may read.")]


@app.command()
def ansible(
    host: Annotated[str, typer.Option(help="The variables of one host.")] = "",
    listed: Annotated[bool, typer.Option("--list", help="All groups and hosts (what is done without --host).")] = False,
    kind: Kind = "host",
    label: Labels = None,
    team: Team = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Print the inventory as Ansible reads it from a script; `ansible-inventory -i SCRIPT` calls it with --list."""
    found = json.loads(_get("/api/v1/inventory/ansible", kind, label, team, url, token))
    if host and not listed:
        found = found["_meta"]["hostvars"].get(host, {})
    print(json.dumps(found, ensure_ascii=False, indent=2))


@app.command()
def hosts(kind: Kind = "host", label: Labels = None, team: Team = None, url: Url = None, token: Token = None) -> None:
    """Print lines for /etc/hosts."""
    print(_get("/api/v1/inventory/hosts", kind, label, team, url, token), end="")


@app.command()
def dnsmasq(kind: Kind = "host", label: Labels = None, team: Team = None, url: Url = None, token: Token = None) -> None:
    """Print host-record lines for dnsmasq."""
    print(_get("/api/v1/inventory/dnsmasq", kind, label, team, url, token), end="")


@app.command()
def zone(
    name: Annotated[str, typer.Argument(help="The zone, e.g. example.org or 10.in-addr.arpa.")],
    kind: Kind = "host",
    label: Labels = None,
    team: Team = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Print a zone file, forward or reverse."""
    print(_get(f"/api/v1/inventory/zones/{quote(name, safe='')}", kind, label, team, url, token), end="")


@app.command()
def netbox(kind: Kind = "host", label: Labels = None, team: Team = None, url: Url = None, token: Token = None) -> None:
    """Print CSV for NetBox's import of devices."""
    print(_get("/api/v1/inventory/netbox", kind, label, team, url, token), end="")


def _get(path: str, kind: str, label: list[str] | None, team: str | None, url: str | None, token: str | None) -> str:
    """Ask the server; a refusal goes to stderr and ends with exit code 2."""
    asked: dict[str, Any] = {"kind": kind, "label": label or []}
    asked |= {"team": team} if team else {}
    with asking(), client(url, token, timeout_seconds=60) as server:
        return ask(server, "GET", path, params=asked).text
