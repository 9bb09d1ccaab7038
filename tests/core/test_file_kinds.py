"""What a file is, by its bytes; names that cannot lead anywhere."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core import file_kinds


def png(width: int, height: int, after: bytes = b"") -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + after


JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", 480, 640)
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00" + b"\x7f\x02\x00\xdf\x01\x00"


@pytest.mark.parametrize(
    ("head", "kind", "inline"),
    [
        (png(640, 480), "image/png", True),
        (JPEG, "image/jpeg", True),
        (b"GIF89a\x10\x00\x10\x00", "image/gif", True),
        (WEBP, "image/webp", True),
        (png(60_000, 60_000), "image/png", False),  # 3.6 billion pixels in a few bytes
        (b"\x89PNG\r\n\x1a\nshort", "image/png", False),
        (b"%PDF-1.7", "application/pdf", False),
        (b"PK\x03\x04rest", "application/zip", False),
        (b"<svg onload='alert(1)'></svg>", "text/plain", False),
        (b"<!doctype html><script>alert(1)</script>", "text/plain", False),
        ("日志".encode(), "text/plain", False),
        (b"\x7fELF\x00\x01", "application/octet-stream", False),
        (b"", "application/octet-stream", False),
    ],
)
def test_the_bytes_say_what_a_file_is(head: bytes, kind: str, inline: bool) -> None:
    assert file_kinds.sort_of(head, whole=True) == file_kinds.Sort(kind, inline)


def test_sizes_are_read_from_the_headers() -> None:
    assert file_kinds.dimensions(png(640, 480), "image/png") == (640, 480)
    assert file_kinds.dimensions(JPEG, "image/jpeg") == (640, 480)
    assert file_kinds.dimensions(WEBP, "image/webp") == (640, 480)


def test_text_that_is_cut_inside_a_character_is_still_text() -> None:
    assert file_kinds.sort_of("日志".encode()[:-1], whole=False).content_type == "text/plain"
    assert file_kinds.sort_of("日志".encode()[:-1], whole=True).content_type == "application/octet-stream"


@given(st.binary(max_size=200))
def test_any_bytes_have_a_sort(head: bytes) -> None:
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF0000WEBPVP8L"):
        assert file_kinds.sort_of(start + head, whole=False).content_type


@given(st.text(max_size=400))
def test_a_name_leads_nowhere(name: str) -> None:
    cleaned = file_kinds.clean_name(name)
    assert cleaned
    assert len(cleaned) <= file_kinds.MAX_NAME
    assert not set(cleaned) & set('/\\\0\r\n"<>')
    assert cleaned.strip(".") != ""


def test_names_people_know() -> None:
    assert file_kinds.clean_name("../../etc/passwd") == "passwd"
    assert file_kinds.clean_name("C:\\logs\\a b.log") == "a b.log"
    assert file_kinds.clean_name("截图 1.png") == "截图 1.png"
    assert file_kinds.clean_name("invoice\u202egnp.exe") == "invoice_gnp.exe"
    assert file_kinds.clean_name("x" * 300 + ".tar").endswith(".tar")
    assert file_kinds.clean_name("..") == "file"
