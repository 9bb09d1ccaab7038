"""pyarrow and chDB without pandas, which chDB's package brings along and nobody here uses.

Both import pandas, if it is installed, to tell its frames from what they are given: pyarrow at its first array, chDB at
its first insert. That took 40 to 50 MB for as long as the process lives. Without it both do all that we ask of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NoPandas(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find pandas here, where its import fails; every other by the finders that follow."""
        return ModuleSpec(fullname, self) if fullname == "pandas" else None

    def exec_module(self, module: ModuleType) -> None:
        """Fail: not when somebody asks whether there is pandas, only when it is imported."""
        raise ModuleNotFoundError("pandas is left out of this process: nobody in it needs it", name=module.__name__)


_no_pandas = _NoPandas()


def leave_pandas_out() -> None:
    """Have `import pandas` fail from now on, as if it was not installed; nothing where it is imported already."""
    if "pandas" not in sys.modules and _no_pandas not in sys.meta_path:
        sys.meta_path.insert(0, _no_pandas)
