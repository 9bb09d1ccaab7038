"""The installed command: it reads the service's settings as systemd does, and root leaves no file of its own."""

from __future__ import annotations

import ctypes
import os
import pwd
import random
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "as-service.py"
parse = runpy.run_path(str(SCRIPT))["parse"]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB=two words\n", {"A": "1", "B": "two words"}),
        ("  A = x y  \nB=", {"A": "x y", "B": ""}),
        ("# A=1\n; B=2\n\nnonsense\n1C=3\nexport D=4\n=5\nE=6\n", {"E": "6"}),
        ('A=\'it "is" $HOME\'\nB="a \'b\' \\"c\\" \\$d \\n"\n', {"A": 'it "is" $HOME', "B": "a 'b' \"c\" $d \\n"}),
        ('A=$(touch /x) `id` "q" # kept\n', {"A": '$(touch /x) `id` "q" # kept'}),
        ('A=one\\\ntwo\nB="three\\\nfour"\n', {"A": "onetwo", "B": "threefour"}),
        ("A='first\nsecond'\r\nB=a\\ b\\ \r\n", {"A": "first\nsecond", "B": "a b "}),
        ("A='a' \"b\"c\nA=last\n", {"A": "last"}),
        ("A='a' \"b\"c\nB='open", {"A": "abc", "B": "open"}),
    ],
)
def test_an_environment_file_is_text_and_never_a_script(text: str, found: dict[str, str]) -> None:
    assert parse(text) == found


def test_it_is_read_as_systemd_itself_reads_it(tmp_path: Path) -> None:
    """Random texts, beside systemd's own function. Since its release 254 a backslash does not continue a comment."""
    library = next(iter(Path("/usr/lib").glob("**/systemd/libsystemd-shared-*.so")), None)
    if library is None:
        pytest.skip("systemd is not installed")
    pairs, strings = ctypes.CDLL(str(library)).load_env_file_pairs, ctypes.POINTER(ctypes.c_char_p)
    pairs.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(strings)]
    file, chosen = tmp_path / "environment", random.Random(5)
    pieces = ["A", "B", "A=", "A=", "=", "\n", "\r", " ", "\t", '"', "'", "\\", "\\", "$", "`", "x"]
    for _turn in range(4000):
        text = "".join(chosen.choice(pieces) for _piece in range(chosen.randint(1, 14)))
        file.write_bytes(text.encode())
        answer, theirs, place = strings(), {}, 0
        assert pairs(None, os.fsencode(file), ctypes.byref(answer)) >= 0
        while answer and answer[place] is not None:
            theirs[answer[place].decode()] = answer[place + 1].decode()
            place += 2
        allowed = {name: value for name, value in theirs.items() if name.isidentifier()}
        assert parse(text) == allowed, repr(text)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can reach, with a program that tells who runs it and makes a file in the data folder."""
    with tempfile.TemporaryDirectory(
        dir="/tmp", prefix="tongchou-as-service-"
    ) as name:  # pytest's own is closed to others
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "data").mkdir(mode=0o700)
        (folder / "environment").write_text("TONGCHOU_DATABASE_URL='postgresql://a:b c@d/$e'\nTONGCHOU_HOST=\"::\"\n")
        program = folder / "program"
        program.write_text(
            '#!/bin/sh\nid -un\numask\ntouch "$TONGCHOU_DATA/made"\necho "$HOME"\nenv | grep ^TONGCHOU_ | sort\necho "$@"\n'
        )
        program.chmod(0o755)
        yield folder


def call(
    place: Path, user: str, *arguments: str, before: tuple[str, ...] = (), **more: str
) -> subprocess.CompletedProcess[str]:
    """Call the program as the command does."""
    words = (str(place / "data"), user, str(place / "environment"), str(place / "program"))
    command = [*before, sys.executable, "-I", str(SCRIPT), *words, *arguments]
    kept = {"PATH": os.environ["PATH"], "HOME": "/root"}
    return subprocess.run(command, env={**kept, **more}, capture_output=True, text=True, timeout=60, check=False)


@as_root
def test_root_runs_it_as_the_services_user_with_the_services_settings(place: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    shutil.chown(place / "data", nobody.pw_uid, nobody.pw_gid)
    done = call(place, "nobody", "doctor", "--json", "a b")
    assert done.stdout.splitlines() == [
        "nobody",
        "0077",
        nobody.pw_dir,
        f"TONGCHOU_DATA={place}/data",
        "TONGCHOU_DATABASE_URL=postgresql://a:b c@d/$e",
        "TONGCHOU_HOST=::",
        "doctor --json a b",
    ], done.stderr
    assert (place / "data" / "made").stat().st_uid == nobody.pw_uid


@as_root
def test_without_a_unit_the_owner_of_the_data_folder_is_asked(place: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    assert call(place, "").stdout.splitlines()[0] == "root"
    (place / "data" / "made").unlink()
    shutil.chown(place / "data", nobody.pw_uid, nobody.pw_gid)
    assert call(place, "").stdout.splitlines()[0] == "nobody"
    assert (place / "data" / "made").stat().st_uid == nobody.pw_uid


@as_root
def test_a_user_that_is_gone_is_no_reason_to_run_as_root(place: Path) -> None:
    done = call(place, "no-such-user")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no-such-user" in done.stderr
    assert not (place / "data" / "made").exists()


def test_what_the_caller_sets_wins_over_the_file(place: Path) -> None:
    (place / "other").mkdir()
    told = call(place, "", TONGCHOU_DATA=str(place / "other"), TONGCHOU_HOST="127.0.0.1").stdout.splitlines()
    assert f"TONGCHOU_DATA={place}/other" in told
    assert "TONGCHOU_HOST=127.0.0.1" in told
    (place / "environment").unlink()  # the unit goes without the file, too
    assert "TONGCHOU_HOST" not in call(place, "").stdout


@as_root
def test_who_may_not_read_the_settings_is_told_whom_to_be(place: Path) -> None:
    (place / "environment").chmod(0o600)
    python = shutil.which("python3", path="/usr/bin")
    if python is None:
        pytest.skip("no Python that every user can run")
    copy = place / "as-service.py"
    shutil.copy(SCRIPT, copy)
    words = [str(place / "data"), "tongchou", str(place / "environment"), str(place / "program")]
    command = ["setpriv", "--reuid=nobody", "--clear-groups", python, "-I", str(copy), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{place}/environment cannot be read" in done.stderr
    assert "sudo" in done.stderr
