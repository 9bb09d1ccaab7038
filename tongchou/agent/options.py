"""What the agent is told on its command line, checked before anything is read or sent."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LEAST_INTERVAL, MOST_INTERVAL = 10.0, 3600.0
MOST_NAME = 128
_TOKEN = re.compile(r"tc_[A-Za-z0-9_-]{16,200}")
_OTHERS = stat.S_IRWXO | stat.S_IWGRP  # a group may read: 0640, and credentials of systemd


class WrongError(Exception):
    """An option, or what it names, will not do; says what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """Where to send, as whom, how often. `name` "" is the machine's own."""

    secure: bool
    host: str
    port: int
    path: str
    token_file: Path
    interval_seconds: float
    name: str
    once: bool
    tls: ssl.SSLContext | None

    @property
    def shown(self) -> str:
        """The place as people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{self.path}"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    found = argparse.ArgumentParser(prog="tongchou agent", description=__doc__, allow_abbrev=False)
    found.add_argument("--url", required=True, help="the platform, e.g. https://tongchou.example")
    found.add_argument("--token-file", required=True, type=Path, help="file with a token of the scope agent")
    found.add_argument("--interval", type=float, default=60.0, help="seconds between reports (60)")
    found.add_argument("--name", default="", help="name of this machine, instead of its own")
    found.add_argument("--ca-file", type=Path, help="certificates to trust, PEM, instead of the system's")
    found.add_argument("--once", action="store_true", help="send one report and end; the exit code tells")
    found.add_argument("--insecure-http", action="store_true", help="allow http:// to other machines")
    return found


def options(words: Sequence[str]) -> Options:
    """Return what the words say. Raises WrongError; argparse itself ends the process with 2."""
    told = parser().parse_args(words)
    if not LEAST_INTERVAL <= told.interval <= MOST_INTERVAL:
        raise WrongError(f"--interval {told.interval:g}: choose {LEAST_INTERVAL:g} to {MOST_INTERVAL:g} seconds")
    if len(told.name) > MOST_NAME or not told.name.isprintable():
        raise WrongError(f"--name: at most {MOST_NAME} printable characters")
    secure, host, port, path = _place(told.url, insecure_http=told.insecure_http)
    token(told.token_file)  # refused now, not at the first report
    return Options(
        secure, host, port, path, told.token_file, told.interval, told.name, told.once, _tls(secure, told.ca_file)
    )


def _place(url: str, *, insecure_http: bool) -> tuple[bool, str, int, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise WrongError("--url: write it like https://tongchou.example, with a path where the platform is below one")
    if parts.username is not None or parts.password is not None:
        raise WrongError("--url: without a name and a password in it; the token comes from --token-file")
    if not re.fullmatch(r"[!-~]*", parts.path):
        raise WrongError("--url: the path has characters that must be written as %XX")
    secure = parts.scheme == "https"
    if not secure and not insecure_http and not _loopback(host):
        raise WrongError(f"--url: http:// would show the token to the network on the way to {host}; use https://")
    return secure, host, port or (443 if secure else 80), parts.path.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls(secure: bool, ca_file: Path | None) -> ssl.SSLContext | None:
    if not secure:
        return None
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise WrongError(f"--ca-file {ca_file}: {error}; it must be certificates in PEM") from error


def token(file: Path) -> str:
    """Return the token in a file, read anew so that it may be replaced at any time; it is never shown.

    Raises WrongError: a file that others may read, or that holds no token.
    """
    try:
        with file.open("rb") as opened:
            about = os.fstat(opened.fileno())
            body = opened.read(1000) if stat.S_ISREG(about.st_mode) else b""
    except OSError as error:
        raise WrongError(f"--token-file {file}: {error.strerror}") from error
    if about.st_mode & _OTHERS:
        mode = stat.S_IMODE(about.st_mode)
        raise WrongError(f"--token-file {file}: others may read or change it (mode {mode:04o}); chmod 600 {file}")
    text = body.decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(text):
        raise WrongError(f"--token-file {file}: holds no API token; it is one line that begins with tc_")
    return text
