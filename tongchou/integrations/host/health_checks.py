"""What only this host can tell: whether its clock is kept, and whether the port is free or ours."""

from __future__ import annotations

import ctypes
import errno
import socket

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core.checks import Finding, Surroundings, check, fail, ok, skip, warn

_UNSYNCHRONISED, _NANOSECONDS = 0x0040, 0x2000  # STA_UNSYNC, STA_NANO of <sys/timex.h>
_MOST_OFFSET_SECONDS = 0.5


class _Timex(ctypes.Structure):
    """The head of struct timex; the kernel fills 208 bytes on 64-bit Linux."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    ]


def kernel_clock() -> tuple[bool, float, float] | None:
    """Return (kept by NTP, offset, largest error) in seconds as the kernel knows them; None where it does not say."""
    told = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(told))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    unit = 1e9 if told.status & _NANOSECONDS else 1e6
    return not told.status & _UNSYNCHRONISED, told.offset / unit, told.maxerror / 1e6


@check("host.clock", _("Clock"))
def clock(where: Surroundings) -> Finding:
    """An NTP client keeps the clock of this host."""
    told = kernel_clock()
    return skip(_("This system does not tell.")) if told is None else judge_clock(*told)


def judge_clock(kept: bool, offset_seconds: float, error_seconds: float) -> Finding:
    """Judge what the kernel knows of its clock. Pure."""
    if not kept:
        return warn(
            _("No NTP client keeps this clock: samples, windows and tokens go wrong when it drifts."),
            _("Run chrony or systemd-timesyncd. In a container or a virtual machine: on the host below."),
        )
    if abs(offset_seconds) > _MOST_OFFSET_SECONDS:
        return warn(
            _("The clock is %(seconds)s s off.") % {"seconds": f"{offset_seconds:+.3f}"},
            _("See why the NTP client cannot correct it (chronyc tracking, timedatectl timesync-status)."),
        )
    return ok(_("Kept by NTP, at most %(seconds)s s off.") % {"seconds": f"{error_seconds:.3f}"})


@check("host.port", _("Port"))
def port(where: Surroundings) -> Finding:
    """The port is ours when the server runs, and free when it does not."""
    if where.in_server:
        return ok(str(settings.PORT))
    place = {"host": settings.HOST, "port": settings.PORT}
    if where.running:
        if where.answers is None:
            return fail(
                _("The server runs and does not answer on %(host)s:%(port)s.") % place,
                _("See its log; compare TONGCHOU_HOST and TONGCHOU_PORT with the ones it was started with."),
            )
        return ok(_("%(host)s:%(port)s, the running server's.") % place)
    try:
        family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.HOST.strip("[]"), settings.PORT))
    except OSError as error:
        why = {
            errno.EADDRINUSE: _("Another program listens there: stop it, or set TONGCHOU_PORT."),
            errno.EACCES: _("Ports below 1024 need a privilege: choose a higher one and put a proxy in front."),
        }.get(error.errno or 0, _("Set TONGCHOU_HOST to an address of this host."))
        return fail(_("%(host)s:%(port)s cannot be listened on: %(error)s") % {**place, "error": error.strerror}, why)
    return ok(_("%(host)s:%(port)s is free.") % place)
