"""Keys that live beside the databases, never in them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def load_or_create_key(path: Path, make: object = None) -> str:
    """Return the text of the key file; create it (mode 0600, 50 random URL-safe bytes) when it is missing.

    Two processes that start at once agree: the file is created exclusively and the loser reads the winner's.
    """
    value = make() if callable(make) else secrets.token_urlsafe(50)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    scratch.touch(mode=0o600)
    scratch.write_text(str(value))
    try:
        os.link(scratch, path)  # atomic, fails when the key exists: a half-written key is never read
    except FileExistsError:
        pass
    finally:
        scratch.unlink()
    return path.read_text().strip()
