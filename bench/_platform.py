"""The platform in this process, for benches of pages and of reads."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def platform(*, kept: bool = False) -> Iterator[None]:
    """Django with a migrated database, in a data folder of its own.

    `kept`: in BENCH_FOLDER, where it is set, so that what is changed is measured again without the minutes of filling.
    """
    with contextlib.ExitStack() as ends:
        folder = (kept and os.environ.get("BENCH_FOLDER")) or ends.enter_context(
            tempfile.TemporaryDirectory(prefix="tongchou-bench-")
        )
        os.environ["TONGCHOU_DATA"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tongchou.settings")
        import django

        django.setup()
        logging.disable(logging.CRITICAL)
        from django.db import connection

        from tongchou.core import schema

        schema.bring_up(lambda _words: None)
        try:
            yield
        finally:
            connection.close()
