"""Jenkins' Notification plugin (https://plugins.jenkins.io/notification/)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from tongchou.changes.told import Ignored, Told, address, dig, key_of, moment, parameters, said, text

PHASES = {"QUEUED": 0, "STARTED": 1, "COMPLETED": 2, "FINALIZED": 2}
RESULTS = {"SUCCESS": "succeeded", "UNSTABLE": "failed", "FAILURE": "failed", "ABORTED": "cancelled"}
_FOLDER = re.compile(r"(?:^|/)job/([^/]+)")


def read(headers: Mapping[str, str], body: Any, now: datetime) -> Told | Ignored:
    """Return what a phase of a build tells. While it is QUEUED or STARTED, `status` is that of the build before."""
    build = dig(body, "build")
    phase, number = text(dig(build, "phase"), 20).upper(), text(dig(build, "number"), 20)
    if phase not in PHASES or not number:
        return Ignored("not_an_event", phase)
    stage, result = PHASES[phase], text(dig(build, "status"), 20).upper()
    if stage == 2 and result == "NOT_BUILT":
        return Ignored("skipped", phase)
    job = job_of(text(dig(body, "url"), 1000)) or text(dig(body, "name"), 253)
    began = moment(_number(dig(build, "timestamp")), now) or now
    took = _number(dig(build, "duration")) or 0
    ended = min(began + timedelta(milliseconds=min(max(took, 0), 10**10)), now) if took else now
    words = dig(build, "parameters")
    branch = text(dig(build, "scm", "branch"), 253)
    return Told(
        key=key_of("jenkins", job, number),
        event=phase,
        name=job,
        status=RESULTS.get(result, "failed") if stage == 2 else "running",
        stage=stage,
        started_at=min(began, ended),
        at=ended if stage == 2 else began,
        finished_at=ended if stage == 2 else None,
        ref=branch.removeprefix("origin/"),
        tag=text(dig(build, "scm", "tag"), 120),
        sha=text(dig(build, "scm", "commit"), 64),
        build=number,
        url=address(dig(build, "full_url")),
        parameters=parameters(words),
        **said(words if isinstance(words, Mapping) else {}, now),
    )


def job_of(path: str) -> str:
    """Return a job's full name out of its address: "job/shop/job/orders/" is shop/orders."""
    return "/".join(unquote(each) for each in _FOLDER.findall(path))[:253]


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15 else None
