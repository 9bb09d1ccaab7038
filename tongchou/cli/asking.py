"""How commands ask a running server as clients of its API, and how they tell that it did not answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tongchou.cli.doctor import language_of_terminal
from tongchou.cli.serve import _prepare_django

if TYPE_CHECKING:
    import httpx

NOT_ASKED = 2  # exit code: the server did not answer what was asked


class NotAskedError(Exception):
    """The server did not take the question: why, and what helps."""

    def __init__(self, detail: str, remedy: str = "", code: str = "") -> None:
        super().__init__(detail)
        self.remedy, self.code = remedy, code


@contextmanager
def asking(exit_codes: Mapping[str, int] | None = None) -> Iterator[None]:
    """Prepare Django and the terminal's language; a NotAskedError goes to stderr and ends the command.

    It ends with NOT_ASKED; `exit_codes`: problem's code -> another exit code.
    """
    _prepare_django()
    from django.conf import settings
    from django.utils import translation

    with translation.override(language_of_terminal(settings.LANGUAGE_CODE)):
        try:
            yield
        except NotAskedError as error:
            print(f"tongchou: {error}", file=sys.stderr)
            if error.remedy:
                print(f"  {error.remedy}", file=sys.stderr)
            raise typer.Exit((exit_codes or {}).get(error.code, NOT_ASKED)) from None


def client(url: str | None, token: str | None, *, timeout_seconds: float) -> httpx.Client:
    """Return a client of the server at `url`, or of this data folder's; raises NotAskedError without a token."""
    import httpx
    from django.conf import settings
    from django.utils.translation import get_language
    from django.utils.translation import gettext as _

    if not token:
        remedy = _("Set TONGCHOU_TOKEN (or --token) to an API token.")
        raise NotAskedError(_("The server wants to know who asks."), remedy)
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": get_language() or "en"}
    own = f"http://127.0.0.1:{settings.PORT}"
    # a proxy of the environment is not on the way to this machine's own server, and gets no token of it
    return httpx.Client(base_url=url or own, headers=headers, timeout=timeout_seconds, trust_env=bool(url))


def ask(client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
    """Return the answer; raises NotAskedError for none, and for a refusal."""
    import httpx
    from django.utils.translation import gettext as _

    try:
        answer = client.request(method, path, **more)
    except httpx.HTTPError as error:
        said = {"url": client.base_url, "error": error}
        remedy = _("Name the server with --url.")
        raise NotAskedError(_("%(url)s does not answer: %(error)s") % said, remedy) from None
    if answer.is_error:
        told = _object(client, answer)
        detail = f"{told.get('field')}: {told.get('detail')}" if told.get("field") else str(told.get("detail"))
        raise NotAskedError(detail, told.get("remedy") or "", told.get("code", ""))
    return answer


def ask_json(client: httpx.Client, method: str, path: str, **more: Any) -> dict[str, Any]:
    """As `ask`, for an answer that is a JSON object."""
    return _object(client, ask(client, method, path, **more))


def _object(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    from django.utils.translation import gettext as _

    try:
        return dict(answer.json())
    except ValueError:
        said = {"url": client.base_url, "status": answer.status_code}
        raise NotAskedError(_("%(url)s answers %(status)s") % said, _("Is it a Tongchou server?")) from None


def content_of(file: Path) -> bytes:
    """Return a file's bytes; raises NotAskedError."""
    from django.utils.translation import gettext as _

    try:
        return file.read_bytes()
    except OSError as error:
        said = {"file": file, "error": error.strerror}
        raise NotAskedError(_("%(file)s cannot be read: %(error)s") % said) from None
