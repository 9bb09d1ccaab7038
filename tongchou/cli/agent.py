"""`tongchou agent`: becomes the agent, which is a small process of its own and knows nothing of the platform."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def agent(
    url: Annotated[str, typer.Option(help="The platform, e.g. https://tongchou.example")],
    token_file: Annotated[Path, typer.Option(help="File with a token of the scope agent.")],
    interval: Annotated[float, typer.Option(help="Seconds between reports.")] = 60.0,
    name: Annotated[str, typer.Option(help="Name of this machine, instead of its own.")] = "",
    ca_file: Annotated[Path | None, typer.Option(help="Certificates to trust, PEM.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Send one report and end; the exit code tells.")] = False,
    insecure_http: Annotated[bool, typer.Option("--insecure-http", help="Allow http:// to other machines.")] = False,
) -> None:
    """Report what this machine is, and who is seen to use what, to a platform."""
    words = ["--url", url, "--token-file", str(token_file), "--interval", f"{interval:g}", "--name", name]
    words += ["--ca-file", str(ca_file)] if ca_file is not None else []
    words += ["--once"] if once else []
    words += ["--insecure-http"] if insecure_http else []
    # the command line has loaded what the agent does without
    os.execv(sys.executable, [sys.executable, "-m", "tongchou.agent", *words])  # noqa: S606  # ourselves, no shell
