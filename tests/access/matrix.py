"""Who may do what, found by asking: the permissions without which an administrator's own request is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.test import Client

from tests.access.probe import Outcome, send
from tests.access.walk import METHODS, Place, operation

FILE = Path(__file__).with_name("matrix.txt")
Key = tuple[str, str]  # route, method
PUBLIC = {
    "healthz", "readyz", "prometheus/-/healthy", "prometheus/-/ready",
    "assets/echarts-<str:stamp>.js", "favicon.ico", "shell/language", "shell/theme",
    "accounts/login/", "accounts/logout/", "accounts/inactive/", "accounts/2fa/authenticate/",
    "accounts/2fa/webauthn/login/", "accounts/oidc/<slug:provider_id>/login/",
    "accounts/oidc/<slug:provider_id>/login/callback/",
}  # fmt: skip
STREAMS = {"live/events", "api/v1/logs/tail"}  # they do not end; tests of their own


def asked(place: Place) -> list[str]:
    """The methods worth asking at a URL."""
    if place.route in STREAMS:
        return []
    if place.is_api and any(operation(place, each) for each in METHODS):
        return [each for each in METHODS if operation(place, each)]
    return list(METHODS)


def observe(
    client: Client, places: list[Place], send_: Callable[..., Outcome] = send
) -> dict[Key, tuple[int, set[str]]]:
    """(status, needs) of every URL and method that is served, as an administrator sees it."""
    found: dict[Key, tuple[int, set[str]]] = {}
    for place in places:
        for method in asked(place):
            outcome = send_(client, place, method)
            if outcome.status == 405:
                assert not outcome.wrote, f"{method} /{place.route} is not served and wrote {sorted(outcome.wrote)}"
                continue
            declared = getattr(place.pattern.callback, "permission", None)
            found[place.route, method] = (
                outcome.status,
                needs(client, place, method, outcome) | ({declared} if declared else set()),
            )
    return found


def needs(client: Client, place: Place, method: str, outcome: Outcome) -> set[str]:
    """The permissions each of which, taken from everybody, turns the answer into a refusal.

    A page asks a dozen for its menu and needs one: what is served without many of them needs none of the many.
    """

    def refused(without: set[str]) -> bool:
        status = send(client, place, method, without=frozenset(without)).status
        return status != outcome.status and status in (401, 403, 404)

    def needed(among: list[str]) -> set[str]:
        if not among or not refused(set(among)):
            return set()
        if len(among) == 1:
            return set(among)
        half = 1 if among[0] == declared else len(among) // 2
        return needed(among[:half]) | needed(among[half:])

    declared = getattr(place.pattern.callback, "permission", None)  # likeliest, so it is asked about alone
    return needed(sorted(outcome.asked, key=lambda each: (each != declared, each)))


def written(found: dict[Key, tuple[int, set[str]]]) -> str:
    """The matrix as it is kept: URL, methods, permissions (own: signing in is enough)."""
    rows: dict[tuple[str, str], list[str]] = {}
    for (route, method), (_status, wanted) in found.items():
        open_to = "everybody" if route in PUBLIC else "own"
        rows.setdefault((route, " ".join(sorted(wanted)) or open_to), []).append(method)
    return "".join(f"/{route} {','.join(methods)} {wanted}\n" for (route, wanted), methods in sorted(rows.items()))
