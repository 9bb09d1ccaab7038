"""Starts ansible-runner under its keeper, with an environment of its own, and waits for it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from django.conf import settings

from tongchou.integrations.ansible import keeper
from tongchou.integrations.ansible.inventory import Host
from tongchou.integrations.ansible.scratch import put

TICK_SECONDS = 1.0
MARGIN_SECONDS = 10.0  # for the keeper to end what is left


def tool() -> Path:
    """Where ansible-runner should be."""
    return Path(settings.ANSIBLE_RUNNER)


def installed() -> bool:
    """Whether it is there, with ansible-playbook beside it."""
    return tool().is_file() and (tool().parent / "ansible-playbook").exists()


def ssh_arguments(folder: Path, host: Host, known_hosts: Path, *, accept_new: bool) -> str:
    """Nothing of the platform's own SSH: no configuration, agent, other key, password, or connection left open."""
    alias = alias_of(host)
    if host.host_key:
        known_hosts = put(folder / "known_hosts", f"{alias} {host.host_key}\n")
    checking = "accept-new" if accept_new and not host.host_key else "yes"
    own = (f"HostKeyAlias={alias}", f'UserKnownHostsFile="{known_hosts}"')
    return " ".join(["-F none", *(f"-o '{option}'" for option in (*_options(checking), *own))])


def _options(checking: str) -> tuple[str, ...]:
    return (
        "ControlMaster=no",
        "ControlPath=none",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "PasswordAuthentication=no",
        "KbdInteractiveAuthentication=no",
        "ServerAliveInterval=15",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        "LogLevel=ERROR",
        f"StrictHostKeyChecking={checking}",
    )


def alias_of(host: Host) -> str:
    """The name under which the key of a host is looked up, so that an address with a port needs no brackets."""
    return f"{host.address}-{host.port}".replace(":", "_")


def ssh_arguments_of_many(folder: Path, hosts: Iterable[Host], known_hosts: Path, *, accept_new: bool) -> str:
    """As `ssh_arguments`, for hosts that each say their own HostKeyAlias (`alias_of`) among their variables.

    Keys that are stated lie in the folder; one accepted at the first contact is added to `known_hosts`.
    """
    lines = [f"{alias_of(each)} {each.host_key}\n" for each in hosts if each.host_key]
    stated = put(folder / "known_hosts", "".join(lines))
    checking = "accept-new" if accept_new else "yes"
    own = f'UserKnownHostsFile="{known_hosts}" "{stated}"'
    return " ".join(["-F none", *(f"-o '{option}'" for option in (*_options(checking), own))])


def environment(folder: Path, ssh_args: str) -> dict[str, str]:
    """All the process gets: nothing of the platform's environment, no colour, no files outside the folder."""
    return {
        "PATH": f"{tool().parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_HOME": str(folder / "home" / ".ansible"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner switches it off unless told
        "ANSIBLE_SSH_ARGS": ssh_args,
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_TIMEOUT": "10",
        "ANSIBLE_NOCOLOR": "True",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_CACHE_PLUGIN": "memory",
        "ANSIBLE_GATHERING": "implicit",
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
        "ANSIBLE_INTERPRETER_PYTHON": "auto_silent",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def launch(
    folder: Path,
    playbook: str,
    options: Sequence[str],
    *,
    ssh_args: str,
    seconds: float,
    tick: Callable[[], None] | None = None,
) -> int:
    """Run the playbook to its end, at most so long; its exit code (keeper.TIME_OVER: its time was over).

    `tick` is called every TICK_SECONDS meanwhile.

    The pipe to the keeper closes with this process, even by kill -9; then the keeper ends everything.
    """
    words = [sys.executable, "-I", keeper.__file__, f"{seconds:.3f}", str(tool()), "run", str(folder)]
    words += ["--playbook", playbook, "--ident", "run", "--quiet", "--cmdline", " ".join(options)]
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603  # no shell; the words are ours, names and options checked
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=environment(folder, ssh_args),
            cwd=folder,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + seconds + MARGIN_SECONDS
        while time.monotonic() < until:
            left = until - time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(left if tick is None else min(left, TICK_SECONDS))
            if tick is not None:
                tick()
        process.kill()
        process.wait()
        return keeper.TIME_OVER
    finally:
        if process.stdin is not None:
            process.stdin.close()
