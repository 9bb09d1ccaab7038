"""Jenkins' remote access API: what is asked, what the answers mean. Redirects are not followed.

https://www.jenkins.io/doc/book/using/remote-access-api/
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote, urlencode

from tongchou.changes.build_ports import Place
from tongchou.core.http import Failed, Refused, Response, fetch

REQUEST_SECONDS = 15.0
MAX_JSON_BYTES = 8_000_000
Kind = Literal["refused", "unsent", "unknown", "denied", "absent", "answered"]
_SESSION = re.compile(r"(JSESSIONID[A-Za-z0-9._-]*=[^;,\s]+)")
_QUEUE_ITEM = re.compile(r"/queue/item/([0-9]{1,18})(?:/|\Z)")


class JenkinsError(Exception):
    """No usable answer. `why` never holds a token.

    refused: not one we may ask · unsent: it cannot have arrived · unknown: it may have · denied, absent: 401 or 403,
    404 · answered: with something else, which is definite.
    """

    def __init__(self, kind: Kind, reason: str, why: str) -> None:
        super().__init__(f"{reason}: {why}")
        self.kind = kind
        self.reason = reason
        self.why = why


def job_path(job: str) -> str:
    """Return the path of a job from its full name: shop/orders is /job/shop/job/orders. Pure."""
    return "".join(f"/job/{quote(each, safe='')}" for each in job.strip("/").split("/"))


def is_job(job: str) -> bool:
    """Whether a text can be the full name of a job; `.` and `..` would climb out of its path. Pure."""
    parts = job.strip("/").split("/")
    return 0 < len(job) <= 500 and job.isprintable() and all(each.strip() and each not in (".", "..") for each in parts)


def rows(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a list, of whatever a server sent; Jenkins' own lists hold empty ones and nulls. Pure."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def whole(value: Any) -> int | None:
    """Return a whole number that is not negative, of whatever a server sent. Pure."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 else None


class Jenkins:
    """One server, asked as one user, until `deadline` (of time.monotonic)."""

    def __init__(self, place: Place, deadline: float) -> None:
        self.place = place
        self.deadline = deadline
        self._crumb: dict[str, str] = {}

    def get(self, path: str, tree: str) -> Any:
        """Return the JSON at a path; `tree` says which parts, in Jenkins' own language."""
        query = urlencode({"tree": tree}) if tree else ""
        return _json(_judged(self._send("GET", f"{path}/api/json?{query}", None, {})))

    def greeting(self) -> tuple[str, Any, Any]:
        """Return the version, what the server says of itself, and who we are."""
        answer = _judged(self._send("GET", "/api/json?tree=mode,nodeDescription", None, {}))
        version = str(answer.headers.get("x-jenkins", ""))
        if not version:
            raise JenkinsError("answered", "protocol", "the answer has no X-Jenkins header, so this is no Jenkins")
        return version, _json(answer), self.get("/me", "id,fullName")

    def start(self, path: str, form: Mapping[str, str] | None) -> int:
        """Ask for a build; returns the id of its place in the queue. `form` None: the job has no parameters."""
        answer = self.post(f"{path}/build" if form is None else f"{path}/buildWithParameters", form or {})
        found = _QUEUE_ITEM.search(answer.headers.get("location", "")) if answer.status == 201 else None
        if found is None:
            raise JenkinsError("unknown", "protocol", f"answered {answer.status} without a place in the queue")
        return int(found[1])

    def stop(self, path: str) -> None:
        """Ask for the end of a build or of waiting. Jenkins answers with a redirect, or 404 once it is over."""
        try:
            self.post(path, {})
        except JenkinsError as error:
            if error.kind != "absent" and error.reason != "redirect":
                raise

    def post(self, path: str, form: Mapping[str, str]) -> Response:
        """Send a form; with a crumb, and the session it is good for, once the server has asked for one."""
        body = urlencode(form).encode()
        answer = self._send("POST", path, body, self._crumb)
        if answer.status == 403 and b"crumb" in answer.body.lower():
            self._crumb = self._fetch_crumb()
            answer = self._send("POST", path, body, self._crumb)
        return _judged(answer)

    def _fetch_crumb(self) -> dict[str, str]:
        answer = _judged(self._send("GET", "/crumbIssuer/api/json", None, {}))
        told = _json(answer)
        field, crumb = str(told.get("crumbRequestField", "")), str(told.get("crumb", ""))
        if not re.fullmatch(r"[A-Za-z0-9.-]{1,100}", field) or not re.fullmatch(r"[\x21-\x7e]{1,500}", crumb):
            raise JenkinsError("answered", "protocol", "the crumb cannot be read")
        session = _SESSION.search(answer.headers.get("set-cookie", ""))
        return {field: crumb, **({"Cookie": session[1]} if session else {})}

    def log_from(self, path: str, start: int, most: int) -> tuple[bytes, int, bool]:
        """Return at most `most` bytes of a log from `start`, its size, and whether more may come."""
        answer = _judged(
            self._send("GET", f"{path}/logText/progressiveText?start={start}", None, {}, most=most, cut=True)
        )
        size = str(answer.headers.get("x-text-size", ""))
        more = answer.headers.get("x-more-data", "") == "true"
        return answer.body, int(size) if size.isascii() and size.isdigit() else start + len(answer.body), more

    def _send(
        self, method: str, path: str, body: bytes | None, more: Mapping[str, str], *, most: int = 0, cut: bool = False
    ) -> Response:
        headers = {"Accept": "application/json", **more}
        if self.place.user or self.place.token:
            pair = f"{self.place.user}:{self.place.token}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            return fetch(
                method,
                self.place.url + path,
                purpose="jenkins",
                headers=headers,
                body=body,
                timeout_seconds=max(1.0, min(REQUEST_SECONDS, self.deadline - time.monotonic())),
                max_bytes=most or MAX_JSON_BYTES,
                cut=cut,
            )
        except Refused as error:
            raise JenkinsError("refused", error.reason, error.detail) from error
        except Failed as error:
            kinds: dict[str, Kind] = {"connect": "unsent", "tls": "unsent", "redirect": "answered"}
            raise JenkinsError(kinds.get(error.reason, "unknown"), error.reason, error.detail) from error


def _judged(answer: Response) -> Response:
    status = answer.status
    if 200 <= status < 300:
        return answer
    words = {
        400: "it does not take this request",
        401: "the user or the token is wrong",
        403: "this user may not do that",
        404: "there is no such thing, or this user may not see it",
        409: "the job cannot be built now",
    }
    kinds: dict[int, Kind] = {401: "denied", 403: "denied", 404: "absent"}
    kind: Kind = kinds.get(status, "answered" if status < 500 else "unknown")
    raise JenkinsError(kind, str(status), words.get(status, f"it answered {status}"))


def _json(answer: Response) -> Any:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise JenkinsError("unknown", "protocol", "the answer is not JSON") from error
    if not isinstance(found, dict):
        raise JenkinsError("unknown", "protocol", "the answer is not a JSON object")
    return found
