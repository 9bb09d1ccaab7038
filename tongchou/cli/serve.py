"""`tongchou serve`: the whole platform in one process, and `tongchou migrate`."""

from __future__ import annotations

import asyncio
import enum
import fcntl
import gc
import json
import os
import secrets
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Annotated, Any
from urllib.parse import quote

import typer

from tongchou.cli import allocator, systemd

TOKEN_FILE_DAYS = 7
START_LOCK = 0x746F6E67_63686F75  # one number for all processes: PostgreSQL names its advisory locks so


class NodeRole(enum.StrEnum):
    """What a process does."""

    ALL = "all"
    WEB = "web"
    WORKER = "worker"


def _prepare_django() -> None:
    """Set Django up and compile translations that are missing."""
    import django

    from tongchou.cli.setup import compile_translations

    compile_translations()
    django.setup()


@contextmanager
def data_folder_lock(data: Path, node: str = "") -> Iterator[IO[str]]:
    """Hold the data folder for this process; exit 1, saying who has it, when another one does.

    With a `node` name (stores that several processes share) only the name is held, and nobody else's whole folder.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data / "lock").open("a+") as whole:
        _lock(whole, fcntl.LOCK_SH if node else fcntl.LOCK_EX, data, "")
        if not node:
            yield _signed(whole)
            return
        (data / "nodes").mkdir(mode=0o700, exist_ok=True)
        with (data / "nodes" / f"{quote(node, safe='')}.lock").open("a+") as own:
            _lock(own, fcntl.LOCK_EX, data, node)
            yield _signed(own)


def _lock(file: IO[str], how: int, data: Path, node: str) -> None:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        if node:
            sys.exit(
                f"tongchou: a process of this folder already is the node {node} (process {holder}).\n"
                "Two processes need two names. Set TONGCHOU_NODE (or TONGCHOU_PORT) to another one."
            )
        sys.exit(
            f"tongchou: the data folder {data} is in use by another server (process {holder}).\n"
            "Two servers on one folder would damage it. Stop the other one, or set TONGCHOU_DATA to another folder. "
            "Many processes are for PostgreSQL and ClickHouse: set TONGCHOU_DATABASE_URL and TONGCHOU_CLICKHOUSE_URL."
        )


def _signed(file: IO[str]) -> IO[str]:
    """The lock file with our process number in it."""
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Only list what would be applied.")] = False,
) -> None:
    """Bring the database to this release's schema (serve does it by itself)."""
    _prepare_django()
    from django.conf import settings

    from tongchou.core import schema

    if plan:
        steps = schema.plan()
        print("\n".join(steps) if steps else "nothing to apply")
        return
    if settings.DATABASE_URL:
        applied = _bring_up()
    else:
        with data_folder_lock(settings.DATA):
            applied = _bring_up()
    if not applied:
        print("tongchou: schema: nothing to apply", flush=True)


def _bring_up() -> list[str]:
    """Apply migrations, one node at a time, and say which; leave with exit code 1 when that is refused."""
    from tongchou.core import schema
    from tongchou.core.problems import Problem

    try:
        with _in_turn():
            return schema.bring_up(lambda words: print(f"tongchou: schema: {words}", flush=True))
    except Problem as problem:
        sys.exit(f"tongchou: {problem}\n  {problem.remedy}")


@contextmanager
def _in_turn() -> Iterator[None]:
    """What one process at a time may do, however long it takes; alone on SQLite, it may at once."""
    from django.db import connection

    from tongchou.core.postgres.base import unlimited

    if connection.vendor != "postgresql":
        yield
        return
    with unlimited():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [START_LOCK])
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [START_LOCK])


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
    role: Annotated[
        NodeRole,
        typer.Option(help="all, or web (pages, API, ingest) or worker (jobs, scraping, rules) of many."),
    ] = NodeRole.ALL,
) -> None:
    """Run the platform: pages, API, scraping, rules, runs. Data in TONGCHOU_DATA (default ./data).

    One process, or with PostgreSQL and ClickHouse by URL any number of them.
    """
    if port is not None:
        os.environ["TONGCHOU_PORT"] = str(port)
    if host is not None:
        os.environ["TONGCHOU_HOST"] = host
    started = time.monotonic()
    allocator.few_arenas()
    from django.conf import settings

    shared = bool(settings.DATABASE_URL and settings.CLICKHOUSE_URL)
    if role is not NodeRole.ALL and not shared:
        sys.exit(
            f"tongchou: the role {role.value} is for several processes, and this store is for one.\n"
            "Set TONGCHOU_DATABASE_URL (PostgreSQL) and TONGCHOU_CLICKHOUSE_URL, or leave --role out."
        )
    with data_folder_lock(settings.DATA, settings.NODE_NAME if shared else ""):
        _prepare_django()
        _bring_up()
        # WhiteNoise answers with files, which are read one after the other: Django says so on every static file
        warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
        _Platform(role, shared=shared, token_file=token_file, started=started).run()


class _Platform:
    """One process of the platform while it serves."""

    def __init__(self, role: NodeRole, *, shared: bool, token_file: Path | None, started: float) -> None:
        from django.conf import settings

        from tongchou.core import nodes
        from tongchou.core.jobs import Workers

        self.role, self.shared, self.token_file, self.started = role, shared, token_file, started
        self.workers = Workers(threads=settings.JOB_THREADS, alone=not settings.DATABASE_URL)
        self.me = nodes.Identity(
            name=settings.NODE_NAME,
            role=role.value,
            store=nodes.CLICKHOUSE if settings.CLICKHOUSE_URL else nodes.EMBEDDED,
            worker="" if role is NodeRole.WEB else self.workers.name,
            address=f"{settings.HOST}:{settings.PORT}",
            keys=_key_fingerprints(),
        )
        self.server: Any = None
        self.heartbeat = nodes.Heartbeat(self.me, _figures, self._replaced)
        self.over = threading.Event()

    def run(self) -> None:
        """Serve until told to stop."""
        from tongchou.core import nodes
        from tongchou.core.problems import Problem
        from tongchou.telemetry import backend

        try:
            nodes.join(self.me)
            backend.backend()  # opens the store now: a damaged one must show at start, not at the first query
        except Problem as problem:
            sys.exit(f"tongchou: {problem.detail}\n{problem.remedy or ''}")
        try:
            self.server = _uvicorn(self.role, self._begin)
            self.server.run()
        finally:
            self.over.set()
            systemd.tell("STOPPING=1")
            if self.role is not NodeRole.WEB:
                self.workers.stop()
            self.heartbeat.stop()
            backend.close()

    def _begin(self) -> None:
        """Start the threads; the port is ours."""
        from django.conf import settings
        from django.db import connections

        from tongchou.alerting import self_rules
        from tongchou.core import modules
        from tongchou.core.access import system
        from tongchou.inventory.actions import ensure_default_sources
        from tongchou.inventory.graph import read_ahead
        from tongchou.telemetry import backend
        from tongchou.web.warm import warm_up

        if self.role is not NodeRole.WORKER:
            warm_up()
        with _in_turn():
            _first_start(settings.PUBLIC_URL)
        read_ahead()
        if not self.shared:  # of several nodes none is "this host", and each has its own /metrics
            own = f"http://127.0.0.1:{settings.PORT}"
            self_rules.ensure(actor=system("first-start"))
            ensure_default_sources(actor=system("first-start"), own_url=own)
        modules.refresh()
        self.heartbeat.start()
        allocator.keep_giving_back(self.over, backend.backend().engine.give_back)
        if self.role is not NodeRole.WEB:
            self.workers.start()
        if self.token_file is not None:
            _write_token_file(self.token_file, settings.PUBLIC_URL)
        connections.close_all()
        gc.collect()
        gc.freeze()  # what a start made stays to the end: no collection need walk through it again
        print(f"tongchou: ready after {time.monotonic() - self.started:.1f} s", flush=True)

    def _replaced(self) -> None:
        if self.server is not None:
            self.server.should_exit = True


def _key_fingerprints() -> dict[str, str]:
    from django.conf import settings

    from tongchou.core import seal
    from tongchou.core import secrets as stored_secrets
    from tongchou.core.nodes import fingerprint

    return {
        "TONGCHOU_SECRET_KEY": fingerprint(settings.SECRET_KEY),
        "TONGCHOU_SECRETS_KEY_FILE": fingerprint(stored_secrets.key_text()),
        "TONGCHOU_LEDGER_KEY_FILE": fingerprint(seal.key_text()),
    }


def _figures() -> dict[str, float]:
    """What a heartbeat tells of the telemetry of this process; asks no store."""
    from tongchou.telemetry.reads import node_figures

    return node_figures()


def _uvicorn(role: NodeRole, begin: Callable[[], None]) -> Any:
    import uvicorn
    from django.conf import settings

    from tongchou.asgi import application, worker_application
    from tongchou.http_heads import BoundedHeads

    config = uvicorn.Config(
        worker_application if role is NodeRole.WORKER else application,
        host=settings.HOST,
        port=settings.PORT,
        log_config=None,  # the platform's own, as every other line
        access_log=False,
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        http=BoundedHeads,
        h11_max_incomplete_event_size=65_536,
        loop="uvloop",
        ws="none",
        server_header=False,
        proxy_headers=bool(settings.TRUSTED_PROXIES),
        forwarded_allow_ips=settings.TRUSTED_PROXIES,
    )

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
                systemd.tell("READY=1")
                self.telling = asyncio.create_task(systemd.keep_telling())

    return Server(config)


async def _in_thread(function: Any) -> None:
    await asyncio.to_thread(function)
