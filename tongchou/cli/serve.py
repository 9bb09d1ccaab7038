"""`tongchou serve`: the whole platform in one process, and `tongchou migrate`."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Annotated, Any

import typer

TOKEN_FILE_DAYS = 7


def _prepare_django() -> None:
    """Set Django up and compile translations that are missing."""
    import django

    from tongchou.cli.setup import compile_translations

    compile_translations()
    django.setup()


@contextmanager
def data_folder_lock(data: Path) -> Iterator[IO[str]]:
    """Hold the data folder for this process; exit 1, saying who has it, when another one does."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            sys.exit(
                f"tongchou: the data folder {data} is in use by another server (process {holder}).\n"
                "Two servers on one folder would damage it. Stop the other one, or set TONGCHOU_DATA to another folder."
            )
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield file


def migrate() -> None:
    """Bring the database to this release's schema (serve does it by itself)."""
    _prepare_django()
    from django.conf import settings
    from django.core.management import call_command

    if settings.DATABASE_URL:
        call_command("migrate", verbosity=1, interactive=False)
        return
    with data_folder_lock(settings.DATA):
        call_command("migrate", verbosity=1, interactive=False)


def _first_start(url: str) -> None:
    """Create the first administrator and token when there is nobody, and show both, once."""
    from django.utils import timezone

    from tongchou.core import people, tokens
    from tongchou.core.access import system
    from tongchou.core.models import Role, User

    if User.objects.exists():
        print(f"tongchou: {url}", flush=True)
        return
    actor = system("first-start")
    password = os.environ.get("TONGCHOU_ADMIN_PASSWORD") or secrets.token_urlsafe(12)
    admin = people.create_user(actor=actor, username="admin", password=password, role=Role.ADMIN)
    _row, token = tokens.create(
        actor=actor, user=admin, name="first token", scopes=["all"], expires_at=timezone.now() + timedelta(days=365)
    )
    shown = "(as given in TONGCHOU_ADMIN_PASSWORD)" if os.environ.get("TONGCHOU_ADMIN_PASSWORD") else password
    print(
        f"\n  Tongchou 统筹   {url}\n\n"
        f"  user / 用户       admin\n"
        f"  password / 密码   {shown}\n"
        f"  API token / 令牌  {token}\n\n"
        "  Shown once. 仅显示一次。\n",
        flush=True,
    )


def _write_token_file(path: Path, url: str) -> None:
    """Write {"url", "token"} for whoever started this process; mode 0600, replaced in one step."""
    from django.utils import timezone

    from tongchou.core import tokens
    from tongchou.core.access import system
    from tongchou.core.models import Membership, Role

    admin = (
        Membership.objects.filter(team__isnull=True, role=Role.ADMIN, user__is_active=True)
        .select_related("user")
        .first()
    )
    if admin is None:
        sys.exit("tongchou: --token-file needs an active administrator, and there is none")
    _row, token = tokens.create(
        actor=system("token-file"),
        user=admin.user,
        name="token file",
        scopes=["all"],
        expires_at=timezone.now() + timedelta(days=TOKEN_FILE_DAYS),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.touch(mode=0o600)
    scratch.write_text(json.dumps({"url": url, "token": token}))
    scratch.replace(path)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (TONGCHOU_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (TONGCHOU_PORT, default 8420).")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Write url and a fresh admin token here (mode 0600) once ready.")
    ] = None,
) -> None:
    """Run the platform in one process: pages, API, scraping, rules, runs. Data in TONGCHOU_DATA (default ./data)."""
    if port is not None:
        os.environ["TONGCHOU_PORT"] = str(port)
    if host is not None:
        os.environ["TONGCHOU_HOST"] = host
    started = time.monotonic()
    from django.conf import settings

    with data_folder_lock(settings.DATA):
        _prepare_django()
        from django.core.management import call_command

        call_command("migrate", verbosity=0, interactive=False)
        url = settings.PUBLIC_URL
        # WhiteNoise answers with files, which are read one after the other: Django says so on every static file
        warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
        _run(settings.HOST, settings.PORT, url, token_file, started)


def _run(host: str, port: int, url: str, token_file: Path | None, started: float) -> None:
    import uvicorn
    from django.conf import settings
    from django.db import connections

    from tongchou.asgi import application
    from tongchou.core.access import system
    from tongchou.core.jobs import Workers
    from tongchou.inventory.actions import ensure_default_sources
    from tongchou.telemetry import backend

    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=65_536,
        server_header=False,
        proxy_headers=bool(settings.TRUSTED_PROXIES),
        forwarded_allow_ips=settings.TRUSTED_PROXIES,
    )
    workers = Workers(threads=settings.JOB_THREADS, alone=not settings.DATABASE_URL)

    class Server(uvicorn.Server):
        """Uvicorn that starts the platform's threads only when the port is ours."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Leave on SIGINT and SIGTERM without raising them again: the stores must be closed after us."""
            before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for each, old in before.items():
                    signal.signal(each, old)

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                await _in_thread(begin)

    def begin() -> None:
        _first_start(url)
        ensure_default_sources(actor=system("first-start"), own_url=f"http://127.0.0.1:{port}")
        workers.start()
        if token_file is not None:
            _write_token_file(token_file, url)
        connections.close_all()
        print(f"tongchou: ready after {time.monotonic() - started:.1f} s", flush=True)

    backend.backend()  # opens the store now: a damaged one must show at start, not at the first query
    try:
        Server(config).run()
    finally:
        workers.stop()
        backend.close()


async def _in_thread(function: Any) -> None:
    import asyncio

    await asyncio.to_thread(function)
