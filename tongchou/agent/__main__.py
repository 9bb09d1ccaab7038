"""`python -m tongchou.agent`: the agent without the rest of the platform."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from tongchou.agent.options import WrongError, options
from tongchou.agent.run import WRONG, run


def main(words: Sequence[str] | None = None) -> int:
    """Run the agent; return its exit code: 0 sent or stopped, 1 undelivered, 2 wrong options, 3 refused."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        told = options(sys.argv[1:] if words is None else words)
    except WrongError as error:
        logging.getLogger("tongchou.agent").error("%s", error)
        return WRONG
    return run(told)


if __name__ == "__main__":
    sys.exit(main())
