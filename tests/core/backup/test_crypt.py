from __future__ import annotations

import io
import random
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.core.backup import crypt
from tongchou.core.backup.crypt import CHUNK_BYTES, EncryptedReader, EncryptedWriter, Key
from tongchou.core.problems import Invalid

KEY = Key(b"k" * 32, kind=2)  # of a key file: scrypt would make each example slow


def sealed(data: bytes, key: Key = KEY) -> bytes:
    raw = io.BytesIO()
    writer = EncryptedWriter(raw, key)
    writer.write(data)
    writer.close()
    return raw.getvalue()


def opened(data: bytes, key: Key = KEY) -> bytes:
    return EncryptedReader(cast("io.BufferedReader", io.BytesIO(data)), key).read()


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
def test_what_goes_in_comes_out(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert opened(sealed(data)) == data


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=6), st.integers(1, 3000))
def test_any_sizes_of_writes_and_reads_give_the_same(sizes: list[int], step: int) -> None:
    raw, dice = io.BytesIO(), random.Random(1)
    writer = EncryptedWriter(raw, KEY)
    parts = [dice.randbytes(size) for size in sizes]
    for part in parts:
        writer.write(part)
    writer.close()
    raw.seek(0)
    reader, found = EncryptedReader(cast("io.BufferedReader", raw), KEY), b""
    while block := reader.read(step):
        found += block
    assert found == b"".join(parts)


def test_a_passphrase_opens_and_another_is_refused_as_wrong() -> None:
    whole = sealed(b"secret", crypt.from_passphrase("correct horse battery"))
    assert opened(whole, crypt.from_passphrase("correct horse battery")) == b"secret"
    with pytest.raises(Invalid) as refused:
        opened(whole, crypt.from_passphrase("correct horse batterz"))
    assert refused.value.code == "backup.wrong_key"
    with pytest.raises(Invalid) as refused:
        opened(whole, KEY)
    assert refused.value.code == "backup.wrong_key"


def test_nothing_of_the_content_shows() -> None:
    assert b"needle" not in sealed(b"needle" * 1000)


def test_every_kind_of_damage_is_found() -> None:
    data = random.Random(2).randbytes(3 * CHUNK_BYTES + 17)
    whole = sealed(data)
    chunk = CHUNK_BYTES + 16
    head = len(whole) - (len(data) + 4 * 16)
    damages = {
        "a bit": whole[: head + 5] + bytes([whole[head + 5] ^ 1]) + whole[head + 6 :],
        "cut in a chunk": whole[:-5],
        "cut between chunks": whole[: head + 2 * chunk],
        "a chunk left out": whole[: head + chunk] + whole[head + 2 * chunk :],
        "chunks swapped": whole[:head] + whole[head + chunk : head + 2 * chunk] + whole[head : head + chunk]
        + whole[head + 2 * chunk :],
        "something added": whole + b"x",
        "another prefix": whole[:30] + bytes([whole[30] ^ 1]) + whole[31:],
        "only a header": whole[:head],
    }  # fmt: skip
    for name, damage in damages.items():
        with pytest.raises(Invalid) as refused:
            opened(damage)
        assert refused.value.code == "backup.damaged", name


def test_short_keys_are_refused(tmp_path: object) -> None:
    with pytest.raises(Invalid, match=r"backup\.passphrase"):
        crypt.from_passphrase("short")
    with pytest.raises(Invalid, match=r"backup\.key_file"):
        crypt.from_base64("base64:AAAA")
    with pytest.raises(Invalid, match=r"backup\.key_file"):
        crypt.from_base64("base64:???")
