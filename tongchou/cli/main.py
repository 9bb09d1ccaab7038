"""Entry point of the `tongchou` command."""

from __future__ import annotations

import os

import typer

from tongchou import __version__
from tongchou.cli import backup, given, rules, sources
from tongchou.cli.agent import agent
from tongchou.cli.demo import demo
from tongchou.cli.doctor import doctor
from tongchou.cli.importing import import_file
from tongchou.cli.serve import migrate, serve
from tongchou.cli.setup import setup

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tongchou 统筹: the operations ledger that closes the loop.",
)
app.command()(serve)
app.command()(demo)
app.command()(agent)
app.command()(setup)
app.command()(migrate)
app.command()(doctor)
app.command("import")(import_file)
app.add_typer(backup.app, name="backup")
app.add_typer(rules.app, name="rules")
app.add_typer(sources.app, name="sources")
app.add_typer(given.app, name="inventory")
app.command()(backup.restore)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tongchou.settings")
    app()


if __name__ == "__main__":
    main()
