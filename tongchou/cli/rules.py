"""`tongchou rules`: Prometheus's rule files and their unit tests on the command line, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tongchou.cli.doctor import language_of_terminal
from tongchou.cli.serve import _prepare_django

if TYPE_CHECKING:
    from tongchou.alerting.rulefile import GroupSpec

DONE, WRONG = 0, 1  # exit codes
app = typer.Typer(no_args_is_help=True, help="Check rule files; run their unit tests (promtool's format).")
Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True)]


@app.command()
def check(files: Files) -> None:
    """Check rule files: exit code 0 all can be used, 1 one has a mistake (each is told with its line)."""
    wrong = False
    with _language():
        for file in files:
            print(f"Checking {file}")
            groups = _groups(file)
            wrong |= groups is None
            if groups is not None:
                print(f"  SUCCESS: {sum(len(each.rules) for each in groups)} rules found")
    raise typer.Exit(WRONG if wrong else DONE)


@app.command("test")
def run_tests(files: Files) -> None:
    """Run unit tests of rules, files of `promtool test rules`: exit code 0 all pass, 1 one fails or cannot be read."""
    wrong = False
    with _language():
        for file in files:
            print(f"Unit Testing:  {file}")
            faults = list(_faults(file))
            wrong |= bool(faults)
            print("  SUCCESS" if not faults else "  FAILED:")
            for fault in faults:
                print("    " + fault.replace("\n", "\n    "))
    raise typer.Exit(WRONG if wrong else DONE)


def _faults(file: Path) -> Iterator[str]:
    from tongchou.alerting import rule_tests

    try:
        cases = rule_tests.read(file.read_text())
    except (rule_tests.BadTest, UnicodeDecodeError) as error:
        yield str(error)
        return
    groups: list[GroupSpec] = []
    for pattern in cases.rule_files:
        found = [Path(pattern)] if Path(pattern).is_absolute() else sorted(file.parent.glob(pattern))
        if not found:
            yield f"no file matches pattern {pattern!r}"
        for each in found:
            read = _groups(each)
            if read is None:
                yield f"{each} has mistakes"
            else:
                groups += read
    for number, case in enumerate(cases.tests):
        name = f"{case.name}: " if case.name else ""
        try:
            for fault in rule_tests.run(cases, groups, number):
                yield name + fault
        except rule_tests.BadTest as error:
            yield name + str(error)


def _groups(file: Path) -> list[GroupSpec] | None:
    """The groups of a rule file; None when it has mistakes, which are told."""
    from tongchou.alerting.actions import check_expression
    from tongchou.alerting.rulefile import Rejected, parse_rule_file

    try:
        return parse_rule_file(file.read_text(), check_expression)
    except (OSError, UnicodeDecodeError) as error:
        print(f"  FAILED: {file}: {error}")
    except Rejected as error:
        print(f"  FAILED: {file}")
        for each in error.mistakes:
            print(f"    {each.line}: {each.field or each.code}: {each.message} {each.remedy}".rstrip())
    return None


def _language() -> AbstractContextManager[None]:
    _prepare_django()
    from django.conf import settings
    from django.utils import translation

    return translation.override(language_of_terminal(settings.LANGUAGE_CODE))
