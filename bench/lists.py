"""Every list, page and API, at 100,000 rows: first page, sorted, filtered, searched, last page; server time.

Lists are found in the URL configuration, their variants in the pages' own links and in the API's description, so that a
new list is measured without a word here. TONGCHOU_DATABASE_URL measures PostgreSQL (bash bin/with-postgres ...).
"""

from __future__ import annotations

import html
import os
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench._platform import platform

ROWS = int(os.environ.get("BENCH_ROWS", "100000"))
READS = 5
BOUND_MS = 100.0
BIG = {
    "inventory.Resource", "inventory.ResourceLabel", "inventory.Sighting", "alerting.AlertGroup", "alerting.Alert",
    "alerting.AlertResource", "alerting.Notification", "runbooks.Run", "runbooks.RunTarget", "incidents.Incident",
    "incidents.AffectedResource", "changes.Deployment", "core.Event", "core.EventAbout", "core.Job", "core.Approval",
}  # fmt: skip
SEEN = 1000  # rows by hand, as they are under way, and as many of history: which is what there is very much of
FEW = 200  # of what nobody has very many of: rules, procedures, channels
MOST_VARIANTS = 8
# They read everything, and say so: a file of all rows, a chain of all events.
WHOLE = re.compile(r"ledger/verify|format=|/docs|openapi|/download|/tail|/live|/export|\.csv|/csv")
PARAMETERS = {
    "q": "977",
    "name": "tests.job-3",
    "state": None,
    "kind": "host",
    "verb": "run.failed",
    "service": "node-5",
}


def main() -> int:
    with platform(kept=True):
        from django.db import connection

        start = time.monotonic()
        browser = client()  # the person first: rows are somebody's
        fill()
        print(f"{ROWS:,} rows of {len(BIG)} nouns in {time.monotonic() - start:.0f} s, {connection.vendor}")
        found = measure(browser)
    return report(found)


def fill() -> None:
    from django.apps import apps
    from django.db import connection

    from bench._multiply import multiply
    from tests import rows
    from tongchou.inventory.models import Stamp

    wanted = parents(BIG)
    rows.grow(SEEN, only=wanted, most=lambda label: SEEN if label in BIG else FEW)
    first = {label: set(apps.get_model(label)._default_manager.values_list("pk", flat=True)) for label in BIG}
    rows.grow(2 * SEEN, only=BIG)
    for label in sorted(BIG):
        model = apps.get_model(label)
        if model._default_manager.count() < ROWS // 2:
            history = [each for each in model._default_manager.values_list("pk", flat=True) if each not in first[label]]
            if history:  # none: the folder is from before, and of this noun there cannot be more
                multiply(model, history, ROWS)
        print(f"  {label:<30} {model._default_manager.count():>8,} rows")
    # by what an action of the inventory leaves behind, the graph is known not to have changed
    Stamp.objects.get_or_create(pk=Stamp.GRAPH)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def parents(labels: set[str]) -> set[str]:
    """These nouns, and all that a row of theirs cannot be without."""
    from django.apps import apps

    found, left = set(labels), [apps.get_model(each) for each in labels]
    while left:
        for field in left.pop()._meta.concrete_fields:
            label = field.related_model._meta.label if field.is_relation and not field.null else None
            if label is not None and label not in found:
                found.add(label)
                left.append(field.related_model)
    return found


def client() -> Any:
    from django.test import Client

    from tongchou.core import people
    from tongchou.core.access import system
    from tongchou.core.models import Role, User

    user = User.objects.filter(username="bench").first() or people.create_user(
        actor=system("bench"), username="bench", password="a long bench password", role=Role.ADMIN
    )
    made = Client(SERVER_NAME="127.0.0.1", headers={"Accept": "text/html"}, raise_request_exception=False)
    made.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return made


def variants(get: Any) -> list[str]:
    """The addresses of every list, each with what it offers."""
    from tests.access.walk import operation, places

    found = []
    for place in places():
        described = operation(place, "GET")
        if "<" in place.route or WHOLE.search(place.route) or (place.is_api and described is None):
            continue
        if place.is_api:
            offered = {each["name"]: each["schema"] for each in (described or {}).get("parameters", [])}
            if "limit" not in offered:
                continue
            found.append(place.address)
            for name, value in PARAMETERS.items():
                if name in offered:
                    enum = re.search(r"'enum': \['(\w+)'", str(offered[name]))
                    found.append(f"{place.address}?{name}={value or (enum[1] if enum else 'done')}")
            if "offset" in offered:
                found.append(f"{place.address}?offset={ROWS - 50}")
        elif place.is_page and "accounts/" not in place.route:
            answer = get(place.address)
            if answer.status_code != 200 or "text/html" not in answer.get("Content-Type", ""):
                continue
            links = [html.unescape(each) for each in re.findall(r'(?:href|hx-get)="([^"]+)"', answer.content.decode())]
            links = [f"{place.address}{each}" if each.startswith("?") else each for each in links]
            mine = [
                each for each in dict.fromkeys(links) if each.startswith(f"{place.address}?") and not WHOLE.search(each)
            ]
            found += [place.address, *mine[:MOST_VARIANTS], f"{place.address}?q=977"]
    return list(dict.fromkeys(found))


def server_clock() -> Callable[[], float]:
    """Seconds of work, on a machine that does other things too.

    SQLite works in this thread: the processor's time counts. PostgreSQL is waited for: there it is the clock, less what
    this thread and the database's own process stood in the queue for a processor (where Linux tells; else the clock).
    """
    from django.db import connection

    if connection.vendor == "sqlite":
        return time.thread_time
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        tells = [Path("/proc/thread-self/schedstat"), Path(f"/proc/{cursor.fetchone()[0]}/schedstat")]
    if not all(each.exists() for each in tells):
        return time.perf_counter
    return lambda: time.perf_counter() - sum(int(each.read_text().split()[1]) for each in tells) / 1e9


def measure(browser: Any) -> list[tuple[str, float, float, int]]:
    """(address, median ms, p95 ms, status) of each."""
    clock = server_clock()
    found = []
    chosen = re.compile(os.environ.get("BENCH_ONLY", ""))  # measure again what was changed
    for address in [each for each in variants(browser.get) if chosen.search(each)]:
        times = []
        for number in range(READS + 1):
            start = clock()
            status = browser.get(address).status_code
            if number:
                times.append((clock() - start) * 1000)
            if times and times[0] > 1000:
                break
        found.append(
            (address, statistics.median(times), sorted(times)[min(len(times) - 1, round(0.95 * len(times)))], status)
        )
        if found[-1][1] > BOUND_MS:
            print(f"  slow: {address} {found[-1][1]:.0f} ms", flush=True)
    return found


def report(found: list[tuple[str, float, float, int]]) -> int:
    print(f"{'list':<90} {'median ms':>9} {'p95 ms':>8} status")
    for address, middle, late, status in sorted(found, key=lambda each: -each[1]):
        print(f"{address[:90]:<90} {middle:9.1f} {late:8.1f} {status}{'  SLOW' if middle > BOUND_MS else ''}")
    slow = [each for each in found if each[1] > BOUND_MS]
    failed = [each for each in found if each[3] >= 500 and each[3] != 503]
    print(
        f"{len(found)} lists, {len(slow)} over {BOUND_MS:.0f} ms, {len(failed)} failed; slowest {max(each[1] for each in found):.0f} ms"
    )
    return 1 if slow or failed else 0


if __name__ == "__main__":
    sys.exit(main())
