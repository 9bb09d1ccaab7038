"""`tongchou backup`, `tongchou backup verify` and `tongchou restore`.

While a server runs on the data folder it makes the backup itself (an embedded store admits no second process) and
this is its HTTP client; otherwise the backup is made here, under the folder's lock.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tongchou.cli.serve import _prepare_django, data_folder_lock

if TYPE_CHECKING:
    import httpx

    from tongchou.core.backup.crypt import Key
    from tongchou.core.backup.restore import Report

app = typer.Typer(help="Back everything up into one file, or check such a file.")
To = Annotated[Path | None, typer.Option("--to", help="Folder or file to write. Default: TONGCHOU_BACKUP_FOLDER.")]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Encrypted: a file whose first line is the passphrase.")
]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help="Encrypted: a key file of 32 bytes or more.")]
POLL_SECONDS = 0.3


@contextmanager
def _problems() -> Iterator[None]:
    """Print a refusal with its remedy and leave with exit code 1."""
    from tongchou.core.problems import Problem

    try:
        yield
    except Problem as problem:
        print(f"tongchou: {problem}", file=sys.stderr)
        if problem.remedy:
            print(f"  {problem.remedy}", file=sys.stderr)
        raise typer.Exit(1) from None


@contextmanager
def _shown(words: str) -> Iterator[Callable[[str, int], None]]:
    """Show what is being written or read, on a terminal only."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(words) as status:
        yield lambda what, done: status.update(f"{words}: {what} ({done / 1e6:,.1f} MB)")


def _key(passphrase_file: Path | None, key_file: Path | None) -> Key | None:
    from tongchou.core.backup import crypt
    from tongchou.core.problems import Invalid

    if passphrase_file is not None:
        try:
            lines = passphrase_file.read_text().splitlines()
        except OSError as error:
            raise Invalid(
                "backup.passphrase_file", str(error), field="passphrase_file", value=passphrase_file
            ) from None
        return crypt.from_passphrase(lines[0] if lines else "")
    return crypt.from_key_file(key_file) if key_file is not None else None


def _in_use(data: Path) -> bool:
    """Tell whether a server holds the data folder."""
    if not (data / "lock").exists():
        return False
    with (data / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@app.callback(invoke_without_command=True)
def backup(
    context: typer.Context,
    to: To = None,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
    keys: Annotated[
        bool | None, typer.Option("--with-keys/--without-keys", help="Key files too. Default: in encrypted ones only.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="The server to back up. Default: that of this data folder.")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="TONGCHOU_TOKEN", help="An administrator's API token, when a server runs.")
    ] = None,
) -> None:
    """Back up both stores and the attached files into one file: of the running server, or of a stopped one."""
    if context.invoked_subcommand is not None:
        return
    _prepare_django()
    from django.conf import settings

    with _problems():
        key = _key(passphrase_file, key_file)
        if url is not None or _in_use(settings.DATA):
            _remote(url, token, to, key, keys)
        else:
            with data_folder_lock(settings.DATA):
                _direct(to, key, keys)


def _direct(to: Path | None, key: Key | None, keys: bool | None) -> None:
    from django.conf import settings
    from django.db import connection
    from django.utils import timezone

    from tongchou.core.backup.archive import SUFFIX
    from tongchou.core.backup.build import build, file_name
    from tongchou.core.problems import NotFound
    from tongchou.telemetry import backend

    if "django_migrations" not in connection.introspection.table_names():
        raise NotFound("backup.nothing", f"There is no data in {settings.DATA}.", field="TONGCHOU_DATA")
    target = to or Path(settings.BACKUP_FOLDER)
    if target.suffix != SUFFIX:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        target /= file_name(timezone.now())
    try:
        with _shown("backup") as progress:
            with_keys = key is not None if keys is None else keys
            made = build(target.resolve(), key=key, with_keys=with_keys, reason="command line", progress=progress)
    finally:
        backend.close()
    _tell_made(made.path, made.size, made.sha256)


def _tell_made(path: Path, size: int, sha256: str) -> None:
    print(f"{path}\n  {size:,} bytes, SHA-256 {sha256}")


def _ask(client: httpx.Client, method: str, path: str, **more: Any) -> Any:
    import httpx

    from tongchou.core.problems import Unavailable

    try:
        answer = client.request(method, path, **more)
    except httpx.HTTPError as error:
        raise Unavailable(
            "backup.no_server",
            f"{client.base_url} does not answer: {error}",
            remedy="Name the server with --url, or stop it and try again.",
        ) from None
    if answer.is_error:
        fits = answer.headers.get("content-type", "").startswith("application/problem+json")
        told = answer.json() if fits else {}
        raise Unavailable(
            told.get("code", f"http.{answer.status_code}"),
            told.get("detail", f"{client.base_url} answers {answer.status_code}"),
            remedy=told.get("remedy"),
        )
    return answer


def _remote(asked: str | None, token: str | None, to: Path | None, key: Key | None, keys: bool | None) -> None:
    import httpx
    from django.conf import settings

    from tongchou.core.backup.crypt import from_passphrase
    from tongchou.core.problems import NotSignedIn, Unavailable

    url = asked or f"http://127.0.0.1:{settings.PORT}"
    if not token:
        raise NotSignedIn(
            "backup.no_token",
            f"The server at {url} makes the backup, and wants to know who asks.",
            remedy="Set TONGCHOU_TOKEN (or --token) to an administrator's API token, or stop the server.",
        )
    body: dict[str, Any] = {"with_keys": keys}
    if key is not None:
        by_phrase = key.kind == from_passphrase("x" * 12).kind
        body["passphrase"] = key.material.decode() if by_phrase else f"base64:{base64.b64encode(key.material).decode()}"
    headers = {"Authorization": f"Bearer {token}"}
    # a proxy of the environment is not on the way to this machine's own server, and gets no token of it
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=bool(asked)) as client:
        row = _ask(client, "POST", "/api/v1/backups", json=body).json()
        with _shown("backup") as progress:
            while row["state"] in ("queued", "running"):
                time.sleep(POLL_SECONDS)
                row = _ask(client, "GET", f"/api/v1/backups/{row['id']}").json()
                progress(row["progress"].get("file", row["state"]), row["progress"].get("bytes", 0))
        if row["state"] != "done":
            problem = row["problem"]
            raise Unavailable(problem.get("code", "backup.failed"), problem.get("detail", ""), remedy=problem["remedy"])
        path = Path(row["path"]) if to is None else _download(client, row, to)
    _tell_made(path, row["size"], row["sha256"])


def _download(client: httpx.Client, row: dict[str, Any], to: Path) -> Path:
    """Fetch the file into a temporary name, check it, sync it, name it."""
    from tongchou.core.backup.archive import SUFFIX, refusal, sync_folder
    from tongchou.core.backup.crypt import damaged

    target = to if to.suffix == SUFFIX else to / Path(row["path"]).name
    scratch = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            while size < row["size"]:
                data = _ask(client, "GET", f"/api/v1/backups/{row['id']}/content", params={"offset": size}).content
                if not data:
                    break
                file.write(data)
                digest.update(data)
                size += len(data)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != row["sha256"]:
            raise damaged("its checksum changed on the way")
        scratch.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise refusal(error, target.parent) from error
    finally:
        scratch.unlink(missing_ok=True)
    return target


@app.command()
def verify(file: Path, passphrase_file: PassphraseFile = None, key_file: KeyFile = None) -> None:
    """Read a backup whole and check every checksum and its database. Exit code 1 when it cannot be used."""
    _prepare_django()
    from tongchou.core.backup.build import verify as check

    with _problems(), _shown("verify") as progress:
        manifest = check(file, key=_key(passphrase_file, key_file), progress=progress)
    relational = manifest["relational"]
    print(f"{file}: good")
    print(f"  release {manifest['version']}, made {manifest['created_at']}, {manifest['engine']}")
    print(f"  {sum(relational['rows'].values()):,} rows, parts {manifest['parts']}")
    if relational["ledger"]:
        print(f"  ledger {relational['ledger']['month']}, head {relational['ledger']['head']}")


def restore(
    file: Path,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
    force: Annotated[bool, typer.Option("--force", help="Move what is there aside first; it is not deleted.")] = False,
) -> None:
    """Put a backup in place, with the server stopped. Into an empty data folder, or with --force over an old one."""
    from django.conf import settings

    with data_folder_lock(settings.DATA):
        _prepare_django()
        from tongchou.core.backup.restore import restore as put_back

        with _problems(), _shown("restore") as progress:
            report = put_back(file, key=_key(passphrase_file, key_file), force=force, progress=progress)
    _tell_restored(report)


def _tell_restored(report: Report) -> None:
    print(f"restored: {report.rows:,} rows, {report.parts}")
    print(f"  the backup was made {report.manifest['created_at']} by release {report.manifest['version']}")
    for name, value in report.followed.items():
        print(f"  {name}: {value}")
    for path in report.aside:
        print(f"  what was there before: {path}")
    print(f"  ledger: {'verified' if not report.ledger_findings else f'{report.ledger_findings} findings'}")
    if report.secrets_unreadable or report.ledger_findings:
        print(
            "  Keys do not fit: put the key files of the old installation into the folder keys, or use the backup's\n"
            f"  own (it {'holds' if report.manifest['keys'] else 'does not hold'} them). "
            f"Secrets that cannot be read: {report.secrets_unreadable}."
        )
