"""The loop that follows files, held by one process."""

from __future__ import annotations

import logging
import threading

from django.conf import settings
from django.db import close_old_connections

from tongchou.core import settings_store
from tongchou.core.access import system
from tongchou.core.jobs import duty
from tongchou.core.problems import Problem
from tongchou.integrations.tail.follow import Follower
from tongchou.integrations.tail.run_time_settings import FILES
from tongchou.telemetry.log_actions import write
from tongchou.wire.log_stream import Stream

PAUSE_SECONDS = 0.5
ACTOR = system("file-tailer")

log = logging.getLogger(__name__)


def _written(streams: list[Stream], token: str) -> None:
    write(streams, actor=ACTOR, token=token).wait()


@duty("tail.follow")
def run(stop: threading.Event) -> None:
    """Follow the files of the setting logs.tail_files."""
    follower = Follower(settings.DATA / "tail" / "positions.json", _written)
    while not stop.wait(PAUSE_SECONDS):
        close_old_connections()
        wanted = settings_store.get(FILES)
        close_old_connections()
        if wanted:
            try:
                follower.step(wanted)
            except Problem as problem:  # not on disk: the same part is written again
                log.warning("log files: %s", problem)
                stop.wait(5.0)
