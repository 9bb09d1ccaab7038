"""Where workspaces may lie: folders an operator allowed, never through a link or .. that leads out of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core import settings_store
from tongchou.core.problems import Invalid

FOLDERS = "iac.folders"
MAX_VAR_FILES = 20
_FILE = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}\.(?:tfvars|tfvars\.json|json)\Z")


def allowed() -> list[str]:
    """The folders below which a workspace may lie."""
    return [str(each) for each in settings_store.get(FOLDERS) or ()]


def directory(path: str) -> Path:
    """Return the real place of a workspace's folder; raises Invalid for one outside of the allowed ones.

    Asked when a workspace is saved and again before each run: a link may have been put there since.
    """
    real = Path(os.path.realpath(path)) if path and "\0" not in path else Path("/")
    data = Path(os.path.realpath(settings.DATA))
    for each in allowed():
        root = Path(os.path.realpath(each))
        inside = real.is_relative_to(root) and root != Path(root.anchor)
        if Path(path).is_absolute() and ".." not in Path(path).parts and inside and not real.is_relative_to(data):
            if real.is_dir():
                return real
            raise _refused(_("There is no such folder on the server."), path)
    raise _refused(_("The folder lies in none that workspaces may lie in."), path)


def _refused(detail: str | Promise, path: str) -> Invalid:
    remedy = _("Put it into one of: %(folders)s; or ask an administrator to change the setting %(setting)s.") % {
        "folders": ", ".join(allowed()) or "-",
        "setting": FOLDERS,
    }
    return Invalid("workspace.directory", detail, field="directory", value=path, remedy=remedy)


def var_files(folder: Path, names: Iterable[str]) -> tuple[Path, ...]:
    """Return the real places of variables files below a workspace's folder; raises Invalid naming one that is not."""
    found = []
    for at, name in enumerate(names):
        fits = bool(_FILE.match(name)) and ".." not in Path(name).parts
        real = Path(os.path.realpath(folder / name)) if fits else folder
        if not fits or at >= MAX_VAR_FILES or not real.is_relative_to(folder) or not real.is_file():
            raise Invalid(
                "workspace.var_file",
                _("There is no such variables file in the folder of the workspace."),
                field=f"var_files[{at}]",
                value=name[:200],
                remedy=_("Name at most %(n)s files below the folder, such as production.tfvars.")
                % {"n": MAX_VAR_FILES},
            )
        found.append(real)
    return tuple(found)
