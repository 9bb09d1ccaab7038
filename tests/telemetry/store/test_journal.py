from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.core.problems import StorageFull, Unavailable
from tongchou.telemetry.series import STALE_NAN
from tongchou.telemetry.store.journal import Journal

NEW = [(7 << 32 | 1, (("__name__", "m"), ("a", 'x"\n中'))), (5, (("__name__", "n"),))]


def samples(count, first=0):
    at = np.arange(first, first + count, dtype=np.int64)
    v = at.astype(np.float64)
    v[:1] = STALE_NAN
    return at + (7 << 32), at + 1_790_000_000_000, v


def flat(found):
    return [(int(s), int(t), v.tobytes()) for sid, ts, vs in found.samples for s, t, v in zip(sid, ts, vs, strict=True)]


def expected(*groups):
    return [(int(s), int(t), v.tobytes()) for group in groups for s, t, v in zip(*group, strict=True)]


def test_a_later_process_finds_what_was_appended(tmp_path):
    first = Journal(tmp_path)
    first.append(NEW, *samples(3))
    first.append([], *samples(2, 10))
    first.rotate()
    first.append([], *samples(1, 20))
    found = Journal(tmp_path).replay()
    assert found.series == NEW
    assert flat(found) == expected(samples(3), samples(2, 10), samples(1, 20))


def test_what_is_in_the_tables_is_dropped_and_the_rest_stays(tmp_path):
    journal = Journal(tmp_path)
    journal.append([], *samples(3))
    segment = journal.rotate()
    journal.append([], *samples(2, 10))
    journal.drop(segment)
    assert flat(Journal(tmp_path).replay()) == expected(samples(2, 10))
    second = journal.rotate()
    journal.drop(second)
    assert flat(Journal(tmp_path).replay()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_segment_begun_while_its_number_was_given_to_drop_stays(tmp_path):
    journal = Journal(tmp_path)
    segment = journal.rotate()
    journal.append([], *samples(1))
    journal.drop(segment)
    assert flat(Journal(tmp_path).replay()) == expected(samples(1))


@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_cut_or_damaged_record_ends_the_replay_and_what_was_before_is_whole(tmp_path_factory, at, byte, cut):
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder)
    groups = [samples(5, 10 * number) for number in range(4)]
    ends = [0]
    for group in groups:
        journal.append([], *group)
        ends.append((folder / "000000000001.journal").stat().st_size)
    journal.close()
    path = folder / "000000000001.journal"
    data = bytearray(path.read_bytes())
    at %= len(data)
    changed = cut or data[at] != byte
    if cut:
        del data[at:]
    else:
        data[at] = byte
    path.write_bytes(data)
    whole = sum(end <= at for end in ends[1:]) if changed else len(groups)
    assert flat(Journal(folder).replay()) == expected(*groups[:whole])


@pytest.mark.parametrize(("code", "problem"), [(errno.ENOSPC, StorageFull), (errno.EIO, Unavailable)])
def test_a_write_that_failed_half_way_leaves_no_half_record(tmp_path, monkeypatch, code, problem):
    journal = Journal(tmp_path)
    journal.append([], *samples(2))

    def begin(descriptor, parts):
        return os.write(descriptor, b"".join(parts)[:20])

    def write(descriptor, data):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr(os, "writev", begin)
        real, fails = os.write, iter([False, True])
        broken.setattr(os, "write", lambda *given: write(*given) if next(fails) else real(*given))
        with pytest.raises(problem):
            journal.append(NEW, *samples(3, 10))
    journal.append([], *samples(1, 20))
    found = Journal(tmp_path).replay()
    assert found.series == []
    assert flat(found) == expected(samples(2), samples(1, 20))


@pytest.mark.parametrize("step", [1, 7, 30, 10_000])
def test_a_write_that_takes_a_part_at_a_time_writes_all(tmp_path, monkeypatch, step):
    journal = Journal(tmp_path)
    real = os.write
    monkeypatch.setattr(os, "writev", lambda descriptor, parts: real(descriptor, b"".join(parts)[:step]))
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:step])))
    journal.append(NEW, *samples(3, 10))
    journal.append([], *samples(2, 20))
    found = Journal(tmp_path).replay()
    assert found.series == NEW
    assert flat(found) == expected(samples(3, 10), samples(2, 20))


def test_when_even_taking_back_fails_a_new_segment_is_begun(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.append([], *samples(2))

    def write(descriptor, parts):
        os.write(descriptor, b"".join(parts)[:20])
        raise OSError(errno.EIO, "broken")

    def truncate(descriptor, size):
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as broken:
        broken.setattr(os, "writev", write)
        broken.setattr(os, "ftruncate", truncate)
        with pytest.raises(Unavailable):
            journal.append([], *samples(3, 10))
    journal.append([], *samples(1, 20))
    assert flat(Journal(tmp_path).replay()) == expected(samples(2), samples(1, 20))


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "note.txt").write_text("hello")
    (tmp_path / "x.journal").write_text("hello")
    journal = Journal(tmp_path, sync=True)
    journal.append([], *samples(1))
    journal.drop(journal.rotate())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["note.txt", "x.journal"]
