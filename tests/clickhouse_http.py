"""A process that answers ClickHouse's HTTP interface out of chDB, for tests of the client's side of it.

Speaks as much of it as clickhouse-connect needs: /ping, statements in the body or in `query`, settings as parameters,
any output format, INSERT ... FORMAT with data after it, Basic sign-in, gzip, and errors with X-ClickHouse-Exception-Code.
It is one process without replication, quotas, TLS or ClickHouse's own scheduling: what those do is not shown by it.

    python -m tests.clickhouse_http FOLDER PORT [USER:PASSWORD]
"""

from __future__ import annotations

import base64
import gzip
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

NOT_SETTINGS = {"query", "database", "session_id", "wait_end_of_query", "query_id", "compress", "decompress", "user",
                "password", "client_protocol_version", "default_format", "quota_key", "buffer_size"}  # fmt: skip
IGNORED = {"send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression"}
INSERT = re.compile(rb"\s*INSERT\s+INTO\s.*?\sFORMAT\s+(\w+)[ \t]*\n", re.IGNORECASE | re.DOTALL)
FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
INPUT = re.compile(r"\binput\('((?:[^'\\]|\\.)*)'\)")
SETTINGS = re.compile(r"\sSETTINGS\s+[\w]+\s*=", re.IGNORECASE)
CODE = re.compile(r"Code:\s*(\d+)")


class Sessions:
    """chDB sessions on one folder, lent to one request at a time; one that saw an error is thrown away."""

    def __init__(self, folder: str) -> None:
        from chdb.session import Session

        self._make = lambda: Session(folder)
        self._idle: list[Any] = [self._make()]
        self._lock = threading.Lock()

    def run(self, sql: str, form: str) -> bytes:
        with self._lock:
            session = self._idle.pop() if self._idle else self._make()
        answer = session.query(sql, form).bytes()  # an error leaves the session behind
        with self._lock:
            self._idle.append(session)
        return bytes(answer)


def with_settings(sql: str, settings: dict[str, str]) -> str:
    """The statement with settings after it, or after the target of an INSERT ... SELECT."""
    if not settings:
        return sql
    text = ", ".join(f"{name} = '{value}'" for name, value in settings.items())
    if re.match(r"\s*INSERT\s", sql, re.IGNORECASE):
        return re.sub(r"(INSERT\s+INTO\s+[\w.`]+\s*(?:\([^)]*\))?)", rf"\1 SETTINGS {text} ", sql, count=1)
    if not re.match(r"\s*(SELECT|WITH)\b", sql, re.IGNORECASE):
        return sql  # a real server takes them for every statement; ours need them for reads and inserts only
    return f"{sql}{',' if SETTINGS.search(sql) else ' SETTINGS'} {text}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sessions: Sessions
    sign_in = ""

    def log_message(self, *_args: object) -> None:
        return

    def do_GET(self) -> None:
        if urlsplit(self.path).path.rstrip("/").endswith("/ping"):
            return self._answer(200, b"Ok.\n")
        return self._run(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self._run(body)

    def _signed_in(self) -> bool:
        given = self.headers.get("Authorization", "")
        return not self.sign_in or given == "Basic " + base64.b64encode(self.sign_in.encode()).decode()

    def _run(self, body: bytes) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if not self._signed_in():
            return self._fail("Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", 403)
        settings = {k: v for k, v in parameters.items() if k not in NOT_SETTINGS | IGNORED}
        statement = parameters.get("query", "").encode() + (b"\n" if "query" in parameters else b"") + body
        form = "TabSeparated"
        try:
            if found := INSERT.match(statement):
                answer = self._insert(found, statement, settings)
            else:
                sql = statement.decode().strip().rstrip(";")
                if asked := FORMAT.search(sql):
                    form, sql = asked.group(1), sql[: asked.start()]
                answer = self.sessions.run(with_settings(sql, settings), form)
        except Exception as error:  # chDB's own
            return self._fail(str(error), 500)
        return self._answer(200, answer, {"X-ClickHouse-Format": form} if answer else {})

    def _insert(self, found: re.Match[bytes], statement: bytes, settings: dict[str, str]) -> bytes:
        form = found.group(1).decode()
        head = FORMAT.sub("", found.group(0).decode())
        with tempfile.NamedTemporaryFile(suffix=".data") as file:
            file.write(statement[found.end() :])
            file.flush()
            source = f"file('{file.name}', {form}, '\\1')"
            sql = INPUT.sub(source, head) if INPUT.search(head) else f"{head} SELECT * FROM file('{file.name}', {form})"
            return self.sessions.run(with_settings(sql, settings), "Null")

    def _fail(self, text: str, status: int) -> None:
        code = CODE.search(text)
        headers = {"X-ClickHouse-Exception-Code": code.group(1) if code else "1002"}
        self._answer(status, text.encode(), headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        if "gzip" in self.headers.get("Accept-Encoding", "") and "enable_http_compression=1" in self.path:
            body = gzip.compress(body, 1)
            headers = {**(headers or {}), "Content-Encoding": "gzip"}
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class ClickHouse:
    """The process, for a test: `url` to reach it, `stop`/`go_on` to make it silent, `close` to end it."""

    def __init__(self, folder: Path, port: int, *, user: str = "tongchou", password: str = "a/pass:word") -> None:
        self.port, self.user, self.password = port, user, password
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.clickhouse_http", str(folder), str(port), f"{user}:{password}"]
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.close()
                    raise AssertionError("the ClickHouse stand-in did not start") from None
                time.sleep(0.05)

    @property
    def url(self) -> str:
        return f"http://{self.user}:{self.password.replace('/', '%2F').replace(':', '%3A')}@127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Make it silent: connections stay open, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)
        while Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.01)

    def go_on(self) -> None:
        """Let it answer again."""
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def main(folder: str, port: str, sign_in: str = "") -> None:
    """Serve until killed."""
    Handler.sessions = Sessions(folder)
    Handler.sign_in = sign_in

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_args: object) -> None:  # who asked has gone
            return

        request_queue_size = 128

    Server(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    os.environ.setdefault("TZ", "UTC")
    main(*sys.argv[1:])
