"""A job worker in its own process, to be killed: `python iac_worker.py DATABASE_NAME`. Only jobs of workspaces run."""

from __future__ import annotations

import sys
import threading

import django
from django.conf import settings

settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()

# Django must be ready before models may be imported
from tongchou.core import jobs  # noqa: E402  # see above

jobs._duties.clear()
jobs._periodic.clear()
jobs.Workers(threads=2, alone=True).start()
print("ready", flush=True)
threading.Event().wait()
