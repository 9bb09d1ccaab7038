"""Parts of the platform that an installation may switch off: hidden and at rest, their data kept.

What can be switched is declared in `modules_offered.py`; which are off is a run-time setting with history. Requests ask
a copy in memory (no query), which the scheduler and the heartbeat of each process keep up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core import jobs, settings_store
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, NotFound, Text

OFF = "core.modules_off"


@dataclass(frozen=True, slots=True)
class Module:
    """What can be switched off: the URL prefixes it serves, its jobs and duties, the modules it needs.

    A prefix without a trailing slash also stands for what lies below it; "runbooks." stands for all work of that name.
    """

    name: str
    title: Text
    help: Text
    paths: tuple[str, ...] = ()
    work: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    def serves(self, path: str) -> bool:
        """Whether an address belongs to it."""
        return any(
            path == each or path.startswith(each if each.endswith(("/", ".")) else f"{each}/") for each in self.paths
        )

    def does(self, name: str) -> bool:
        """Whether a job or duty belongs to it."""
        return any(name == each or (each.endswith(".") and name.startswith(each)) for each in self.work)


_modules: dict[str, Module] = {}
_lock = threading.Lock()
_off: list[frozenset[str]] = [frozenset()]


def offer(module: Module) -> None:
    """Declare a part that can be switched off."""
    _modules[module.name] = module


def known() -> list[Module]:
    """Return every part that can be switched off, by name."""
    return [_modules[name] for name in sorted(_modules)]


def off() -> frozenset[str]:
    """Return the names that are off, as this process last read them. No query."""
    return _off[0]


def refresh() -> None:
    """Read which are off. One query; each process does it by itself, so a change is everywhere within seconds."""
    found = frozenset(str(each) for each in settings_store.get(OFF, [])) & set(_modules)
    with _lock:
        _off[0] = found


def forget() -> None:
    """Take every part for on until the next `refresh`."""
    with _lock:
        _off[0] = frozenset()


def of_path(path: str) -> Module | None:
    """Return the part that is off and serves this address; None when the address may be served."""
    return next((_modules[name] for name in sorted(off()) if _modules[name].serves(path)), None)


def resting(name: str) -> bool:
    """Whether a job or duty belongs to a part that is off."""
    return any(_modules[each].does(name) for each in off())


def problem_of(value: object) -> str | Promise | None:
    """Return what is wrong with a list of parts to be off: an unknown name, or a part that another one needs."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return _("A list of names is wanted.")
    unknown = sorted(set(value) - set(_modules))
    if unknown:
        return _("There is no part named %(name)s.") % {"name": unknown[0]}
    for each in known():
        missing = sorted(set(each.needs) & set(value))
        if missing and each.name not in value:
            return _("%(part)s needs %(missing)s.") % {"part": each.title, "missing": _modules[missing[0]].title}
    return None


def _titles(names: Iterable[str]) -> str:
    return ", ".join(str(_modules[name].title) for name in sorted(names))


def switch(*, actor: Actor, name: str, on: bool) -> bool:
    """Switch a part on or off; whether that changed anything. Event setting.changed carries both lists.

    Refused while a part that needs it is on, or while one it needs is off. Its data is kept, its jobs wait.
    """
    check(actor, "platform.manage")
    module = _modules.get(name)
    if module is None:
        raise NotFound(
            "module.unknown",
            _("There is no part named %(name)s.") % {"name": name},
            field="name",
            value=name,
            remedy=_("GET /api/v1/modules lists them."),
        )
    refresh()
    now = set(off())
    dependants = {each.name for each in known() if name in each.needs and each.name not in now}
    missing = set(module.needs) & now
    if not on and dependants:
        raise Conflict(
            "module.needed",
            _("%(part)s is needed by: %(others)s.") % {"part": module.title, "others": _titles(dependants)},
            field="name",
            value=name,
            remedy=_("Switch those off first."),
        )
    if on and missing:
        raise Conflict(
            "module.needs",
            _("%(part)s needs: %(others)s.") % {"part": module.title, "others": _titles(missing)},
            field="name",
            value=name,
            remedy=_("Switch those on first."),
        )
    wanted = now - {name} if on else now | {name}
    if wanted == now:
        return False
    settings_store.put(actor=actor, key=OFF, value=sorted(wanted))
    refresh()
    return True


def refusal(module: Module) -> NotFound:
    """Return the refusal of an address whose part is off."""
    return NotFound(
        "module.off",
        _("%(part)s is switched off in this installation. Its data is kept.") % {"part": module.title},
        remedy=_("An administrator can switch it on under Administration, Modules."),
        title=_("Switched off"),
        extra={"module": module.name},
    )


jobs.let_rest(resting, refresh)
settings_store.register(
    OFF, list, [], _("Names of the parts of the platform that are switched off (page Modules)."), validate=problem_of
)
