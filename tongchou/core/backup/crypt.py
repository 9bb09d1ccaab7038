"""Encryption of a backup: AES-256-GCM over chunks, the key from a passphrase (scrypt) or from a key file (HKDF).

File: magic, kind of key, log2 of scrypt's N, salt (16), nonce prefix (7), key check (16), then chunks of 1 MiB, each
with its tag (16). The nonce of a chunk is the prefix, its number and whether it is the last (the STREAM construction):
a chunk that was changed, moved, taken away or cut off is found. The header is authenticated with every chunk.
"""

from __future__ import annotations

import base64
import hmac
import io
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid

MAGIC = b"TCBK\x01\n"
CHUNK_BYTES = 1024 * 1024
MIN_KEY_FILE_BYTES = 32
MIN_PASSPHRASE_CHARACTERS = 12
_TAG_BYTES = 16
_HEADER = struct.Struct("<6sBB16s7s16s")
_SCRYPT, _KEY_FILE = 1, 2
_LOG_N, _MAX_LOG_N = 16, 20


@dataclass(frozen=True, slots=True)
class Key:
    """What opens a backup: a passphrase, or the content of a key file."""

    material: bytes = field(repr=False)
    kind: int = _SCRYPT


def from_passphrase(text: str) -> Key:
    """Return the key of a passphrase. Raises Invalid when it is too short to protect anything."""
    if len(text) < MIN_PASSPHRASE_CHARACTERS:
        raise Invalid(
            "backup.passphrase",
            _("A passphrase has at least %(least)d characters.") % {"least": MIN_PASSPHRASE_CHARACTERS},
            field="passphrase",
            remedy=_("Choose a longer one, or use a key file."),
        )
    return Key(text.encode())


def from_key_file(path: Path) -> Key:
    """Return the key that a file of at least 32 bytes holds. Raises Invalid."""
    try:
        material = path.read_bytes()
    except OSError as error:
        raise Invalid(
            "backup.key_file",
            _("The key file cannot be read: %(error)s") % {"error": error.strerror or error},
            field="key_file",
            value=path,
            remedy=_("Name a file that this user may read."),
        ) from error
    return _of_file(material, path)


def from_base64(text: str) -> Key:
    """Return the key of `base64:` and the content of a key file. Raises Invalid."""
    try:
        material = base64.b64decode(text.removeprefix("base64:"), validate=True)
    except ValueError as error:
        raise Invalid("backup.key_file", _("The key is not base64."), field="passphrase") from error
    return _of_file(material, None)


def _of_file(material: bytes, path: Path | None) -> Key:
    if len(material) < MIN_KEY_FILE_BYTES:
        raise Invalid(
            "backup.key_file",
            _("A key file has at least %(least)d bytes.") % {"least": MIN_KEY_FILE_BYTES},
            field="key_file",
            value=path,
            remedy=_("Make one: head -c 32 /dev/urandom > backup.key"),
        )
    return Key(material, _KEY_FILE)


def _derive(key: Key, salt: bytes, log_n: int) -> tuple[bytes, bytes]:
    """(AES key, key check): the check tells a wrong key from a damaged file."""
    root = (
        Scrypt(salt=salt, length=32, n=1 << log_n, r=8, p=1).derive(key.material)
        if key.kind == _SCRYPT
        else key.material
    )
    both = HKDF(SHA256(), 48, salt, b"tongchou backup").derive(root)
    return both[:32], both[32:]


class EncryptedWriter(io.RawIOBase):
    """A write-only stream over `raw`. `close` writes the last chunk; it leaves `raw` open."""

    def __init__(self, raw: BinaryIO, key: Key) -> None:
        salt, self._prefix = os.urandom(16), os.urandom(7)
        secret, check = _derive(key, salt, _LOG_N)
        self._raw, self._box = raw, AESGCM(secret)
        self._header = _HEADER.pack(MAGIC, key.kind, _LOG_N, salt, self._prefix, check)
        self._number, self._buffer, self._abandoned = 0, bytearray(), False
        raw.write(self._header)

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # what tarfile hands over is bytes
        """Take bytes; whole chunks go out once more than one is there, for the last one is marked."""
        self._buffer += data
        while len(self._buffer) > CHUNK_BYTES:
            self._emit(bytes(self._buffer[:CHUNK_BYTES]), last=False)
            del self._buffer[:CHUNK_BYTES]
        return len(data)

    def _emit(self, chunk: bytes, *, last: bool) -> None:
        self._raw.write(self._box.encrypt(_nonce(self._prefix, self._number, last), chunk, self._header))
        self._number += 1

    def abandon(self) -> None:
        """Close without an end: what was written is no backup."""
        self._abandoned = True
        self.close()

    def close(self) -> None:
        """Write what is left as the last chunk."""
        if not self.closed and not self._abandoned:
            self._emit(bytes(self._buffer), last=True)
            self._buffer.clear()
        super().close()


class EncryptedReader(io.RawIOBase):
    """A read-only stream over `raw`; every byte that comes out was authenticated. Raises Invalid."""

    def __init__(self, raw: BinaryIO, key: Key) -> None:
        self._raw, self._header = raw, raw.read(_HEADER.size)
        if len(self._header) < _HEADER.size:
            raise damaged(_("its header is cut off"))
        _magic, kind, log_n, salt, self._prefix, check = _HEADER.unpack(self._header)
        if kind not in (_SCRYPT, _KEY_FILE) or log_n > _MAX_LOG_N:
            raise damaged(_("its header is not one we write"))
        if kind != key.kind:
            wanted = _("a passphrase") if kind == _SCRYPT else _("a key file")
            raise _wrong_key(_("This backup was encrypted with %(kind)s.") % {"kind": wanted})
        secret, expected = _derive(key, salt, log_n)
        if not hmac.compare_digest(check, expected):
            raise _wrong_key(_("This is not the key that the backup was encrypted with."))
        self._box, self._number, self._buffer = AESGCM(secret), 0, b""
        self._next = raw.read(CHUNK_BYTES + _TAG_BYTES)
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; fewer only at the end."""
        parts, have = [self._buffer], len(self._buffer)
        while (size < 0 or have < size) and not self._ended:
            plain = self._chunk()
            parts.append(plain)
            have += len(plain)
        data = b"".join(parts)
        cut = len(data) if size < 0 else size
        self._buffer = data[cut:]
        return data[:cut]

    def _chunk(self) -> bytes:
        current, self._next = self._next, self._raw.read(CHUNK_BYTES + _TAG_BYTES)
        self._ended = not self._next
        try:
            plain = self._box.decrypt(_nonce(self._prefix, self._number, self._ended), current, self._header)
        except InvalidTag as error:
            raise damaged(_("it was changed or cut off after it was written")) from error
        self._number += 1
        return plain


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    return prefix + struct.pack(">IB", number, int(last))


def damaged(why: object) -> Invalid:
    """Build the refusal of a file that is not what was written."""
    return Invalid(
        "backup.damaged",
        _("The backup cannot be used: %(why)s.") % {"why": why},
        field="file",
        remedy=_("Take another copy of it, or an earlier backup. Nothing was changed."),
    )


def _wrong_key(detail: object) -> Invalid:
    return Invalid(
        "backup.wrong_key",
        str(detail),
        field="key",
        remedy=_("Give the passphrase or key file it was made with. Nothing was changed."),
    )
