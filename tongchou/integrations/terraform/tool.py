"""Plans and applies with terraform or tofu, as processes of their own: satisfies changes.Tool."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.utils.translation import gettext as _

from tongchou.changes.iac_sensitive import literals, values_of
from tongchou.changes.ports import Applied, Hear, Mode, Planned, StateFacts, Where
from tongchou.core.private_folders import private_folder, put
from tongchou.integrations.terraform import keeper
from tongchou.integrations.terraform.process import Process, data_folder, program_path

STAMP = "tongchou-initialised"
FOLDERS = ("home", "tmp")
CONFIGURATION = (".tf", ".tf.json", ".tofu", ".tofu.json", ".lock.hcl")
MAX_FILES = 5000
MODES: dict[str, tuple[str, ...]] = {"plan": (), "drift": ("-refresh-only",), "destroy": ("-destroy",)}


class Terraform:
    """Satisfies changes.Tool for Terraform and OpenTofu, which take the same words and write the same JSON."""

    programs: ClassVar[Sequence[str]] = ("terraform", "tofu")

    def missing(self, program: str) -> str:
        """Why a program cannot be run here."""
        if program_path(program):
            return ""
        variable = "TONGCHOU_TOFU" if program == "tofu" else "TONGCHOU_TERRAFORM"
        says = _("%(program)s is not installed on this host. Install it, or name it in %(variable)s.")
        return says % {"program": program, "variable": variable}

    def plan(self, where: Where, mode: Mode, keep: Path, hear: Hear) -> Planned:
        """Init where that is needed, then plan; the file is moved to `keep` only when there is one."""
        with private_folder(_root(), FOLDERS) as folder:
            process = Process(where, folder)
            file = folder / "plan"
            code, said, state = _plan(process, where, [*_plan_words(where, mode), f"-out={file}"], hear)
            if code in (0, 2) and file.is_file():
                document = _json(process.ask("show", "-json", "-no-color", str(file)))
                file.chmod(0o600)
                keep.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file.replace(keep)
                return Planned("changes" if code == 2 else "nothing", said, document, state)
            hidden = _hidden(process) | _in_files(where)
            return Planned("timeout" if code == keeper.TIME_OVER else "failed", said, None, state, hidden)

    def document(self, where: Where, plan_file: bytes) -> Any:
        """The JSON of a plan file."""
        with private_folder(_root(), FOLDERS) as folder:
            file = put(folder / "plan", plan_file)
            return _json(Process(where, folder).ask("show", "-json", "-no-color", str(file)))

    def apply(self, where: Where, plan_file: bytes, hear: Hear) -> Applied:
        """Apply exactly these bytes: they are written where nobody else can reach them in between."""
        with private_folder(_root(), FOLDERS) as folder:
            process = Process(where, folder)
            file = put(folder / "plan", plan_file)
            lock = f"-lock-timeout={where.lock_timeout_seconds}s"
            code, said = process.run(["apply", "-json", "-input=false", lock, str(file)], hear)
            state, hidden = _state(process) or StateFacts(), _hidden(process)
        outcome: Any = {0: "applied", keeper.TIME_OVER: "timeout", keeper.PIPE_CLOSED: "stopped"}.get(code, "failed")
        return Applied(outcome, said, state, hidden)

    def state(self, where: Where) -> StateFacts | None:
        """Which state there is now."""
        with private_folder(_root(), FOLDERS) as folder:
            return _state(Process(where, folder))

    def pull(self, where: Where) -> bytes:
        """The state itself."""
        with private_folder(_root(), FOLDERS) as folder:
            return Process(where, folder).ask("state", "pull") or b""


def _root() -> Path:
    return Path(settings.DATA) / "terraform" / "scratch"


def _plan_words(where: Where, mode: Mode) -> list[str]:
    words = ["plan", "-json", "-input=false", "-detailed-exitcode", f"-lock-timeout={where.lock_timeout_seconds}s"]
    return [*words, *MODES[mode], *(f"-var-file={each}" for each in where.var_files)]


def _plan(process: Process, where: Where, words: list[str], hear: Hear) -> tuple[int, tuple[str, ...], StateFacts]:
    """Plan; where an init was left out as not needed, and the plan fails, with an init once more."""
    fresh = _initialised(where)
    while True:
        if not fresh:
            code, said = _init(process, where, hear)
            if code != 0:
                return code, said, StateFacts()
        state = _state(process) or StateFacts()
        code, said = process.run(words, hear)
        if code in (0, 2, keeper.TIME_OVER) or not fresh:
            return code, said, state
        fresh = False


def _init(process: Process, where: Where, hear: Hear) -> tuple[int, tuple[str, ...]]:
    folder = data_folder(where)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / STAMP).unlink(missing_ok=True)
    code, said = process.run(["init", "-input=false", "-no-color"], hear)
    if code == 0 and where.workspace != "default":
        code, said = process.run(["workspace", "select", "-or-create=true", "-no-color", where.workspace])
    if code == 0:
        (folder / STAMP).write_text(_stamp(where))
    return code, said


def _initialised(where: Where) -> bool:
    try:
        return (data_folder(where) / STAMP).read_text() == _stamp(where)
    except OSError:
        return False


def _stamp(where: Where) -> str:
    """Of all that may ask for other providers, modules or another backend."""
    digest = hashlib.sha256(f"{program_path(where.program)}\n{where.directory}\n{where.workspace}".encode())
    for path in _files(where, CONFIGURATION):
        digest.update(f"\n{path}".encode("utf-8", "surrogateescape"))
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(where: Where, endings: tuple[str, ...]) -> list[Path]:
    found = []
    for here, folders, names in os.walk(where.directory):
        folders[:] = sorted(each for each in folders if each not in (".git", ".terraform", "terraform.tfstate.d"))
        found += [Path(here, each) for each in sorted(names) if each.endswith(endings)]
        if len(found) >= MAX_FILES:
            break
    return [each for each in found[:MAX_FILES] if each.is_file()]


def _state(process: Process) -> StateFacts | None:
    """Lineage and serial, out of the state itself; the rest of it is dropped at once."""
    said = process.ask("state", "pull")
    if said is None:
        return None
    found = _json(said) if said.strip() else {}
    if not isinstance(found, dict):
        return None
    serial = found.get("serial")
    return StateFacts(str(found.get("lineage") or "")[:80], serial if isinstance(serial, int) else 0)


def _hidden(process: Process) -> frozenset[str]:
    """What is sensitive in the state."""
    found = _json(process.ask("show", "-json", "-no-color"))
    return values_of(found) if isinstance(found, dict) else frozenset()


def _in_files(where: Where) -> frozenset[str]:
    """What the files give to variables they call sensitive."""
    configuration = [each.read_text("utf-8", "replace") for each in _files(where, (".tf", ".tofu"))]
    given = [*where.var_files, *_files(where, (".tfvars",))]
    return literals(configuration, [each.read_text("utf-8", "replace") for each in given if each.is_file()])


def _json(said: bytes | None) -> Any:
    try:
        return json.loads(said) if said else None
    except (ValueError, RecursionError):
        return None


TOOL = Terraform()
