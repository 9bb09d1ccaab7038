"""A job worker in its own process, to be killed: `python worker.py DATABASE_NAME METRICS_FILE PERIODIC...`.

Only the jobs of the platform run in it: no duties, and of the periodic work only what is named. The metrics
are a JSON file {query: [values]}, so that a test can turn a wait's answer while the worker lives or is dead.
"""

from __future__ import annotations

import json
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import django
from django.conf import settings

database, metrics_file = sys.argv[1], Path(sys.argv[2])
settings.DATABASES["default"]["NAME"] = database
settings.HTTP_ALLOW = ["127.0.0.1"]
django.setup()

# Django must be ready before models may be imported
from tongchou.core import jobs  # noqa: E402  # see above
from tongchou.runbooks import observe  # noqa: E402  # see above
from tongchou.telemetry.reads import Sample  # noqa: E402  # see above


def instant_vector(query: str, at: datetime | None = None) -> list[Sample]:
    """What the file says now."""
    return [Sample({}, value, datetime.now(UTC)) for value in json.loads(metrics_file.read_text()).get(query, [])]


observe.reads.instant_vector = instant_vector  # type: ignore[assignment]  # the fake has the same signature
jobs._duties.clear()
for name in [name for name in jobs._periodic if name not in sys.argv[3:]]:
    del jobs._periodic[name]
jobs.Workers(threads=3, alone=True).start()
print("ready", flush=True)
threading.Event().wait()
