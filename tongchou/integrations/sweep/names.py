"""Asks the resolver of this host what addresses are called; a name counts that leads back to its address."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

THREADS = 16
NAMES_SECONDS = 40.0  # of all names: a resolver that is away must not hold the look
_NO_NAME = (1, 4)  # HOST_NOT_FOUND, NO_DATA of netdb.h: an answer; anything else is none


def names_of(addresses: Sequence[str]) -> Mapping[str, str | None]:
    """Return address -> its name, "" where it has none that leads back; None where the resolver did not answer."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="names")
    asked = {address: pool.submit(_name_of, address) for address in addresses}
    done, _late = wait(asked.values(), timeout=NAMES_SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    return {address: future.result() if future in done else None for address, future in asked.items()}


def _name_of(address: str) -> str | None:
    try:
        name = socket.gethostbyaddr(address)[0]
        back = {str(each[4][0]) for each in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except socket.herror as error:
        return "" if error.errno in _NO_NAME else None
    except socket.gaierror as error:
        return "" if error.errno == socket.EAI_NONAME else None
    except (OSError, UnicodeError):
        return ""
    return name.rstrip(".").lower() if address in back else ""
