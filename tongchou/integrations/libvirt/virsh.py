"""Asks virsh, read only: a process with nothing of the platform's environment, within seconds and bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import TooLarge, Unavailable

MAX_BYTES = 50_000_000
ANSWER_SECONDS = 60.0
LOOK_SECONDS = 240.0
BATCH = 100  # commands of one process


class Virsh:
    """One look at one hypervisor. Not for several threads."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._until = time.monotonic() + LOOK_SECONDS
        found = shutil.which("virsh")
        if found is None:
            raise Unavailable(
                "libvirt.no_virsh",
                _("There is no virsh on this host."),
                remedy=_("Install it (package libvirt-clients); nothing known was changed."),
            )
        self._program = found

    def ask(self, *commands: str) -> str:
        """Return what virsh prints for commands, one after the other. Raises Unavailable, TooLarge.

        virsh goes on after a command that fails: whoever asks several counts the answers.
        """
        seconds = min(ANSWER_SECONDS, self._until - time.monotonic())
        words = [self._program, "--readonly", "--quiet", "--connect", self._uri, "; ".join(commands)]
        environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": os.environ.get("HOME", "/")}
        try:
            done = subprocess.run(  # noqa: S603  # no shell; the URI is listed by an administrator, the rest is ours
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=max(0.1, seconds),
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise self._failed(_("no answer within %(s)s s") % {"s": f"{seconds:.0f}"}) from error
        except OSError as error:
            raise self._failed(error.strerror or str(error)) from error
        if len(done.stdout) > MAX_BYTES:
            raise TooLarge(
                "libvirt.too_large", _("virsh answers more than %(most)s bytes.") % {"most": f"{MAX_BYTES:,}"}
            )
        if done.returncode != 0:
            raise self._failed(done.stderr.decode("utf-8", "replace").strip()[-300:])
        return done.stdout.decode("utf-8", "replace")

    def lines(self, command: str) -> list[str]:
        """Return the lines of an answer, without blank ones."""
        return [line.strip() for line in self.ask(command).splitlines() if line.strip()]

    def documents(self, command: str, names: Sequence[str], root: str) -> list[str]:
        """Return the XML documents of `command` for each of `names`; one that went away meanwhile gives none."""
        found: list[str] = []
        end = f"</{root}>"
        for start in range(0, len(names), BATCH):
            text = self.ask(*(f"{command} {name}" for name in names[start : start + BATCH]))
            found += [f"{part.strip()}{end}" for part in text.split(end)[:-1]]
        return found

    def _failed(self, why: object) -> Unavailable:
        return Unavailable(
            "libvirt.failed",
            _("virsh got no answer of %(uri)s: %(why)s") % {"uri": self._uri, "why": why},
            field="settings.uri",
            value=self._uri,
            remedy=_("Try `virsh --readonly -c URI list` as the service's user; nothing known was changed."),
        )
