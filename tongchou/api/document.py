"""What the OpenAPI document says of every operation beside its own answer: refusals, as problems (RFC 9457)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import get_language
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "A refusal to act on (RFC 9457). Some codes bring members of their own.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "description": "urn:tongchou:problem: and the code"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "description": "A stable name for programs."},
        "detail": {"type": "string", "description": "What is wrong, in the caller's language."},
        "field": {"type": "string", "description": "The place in the input."},
        "value": {"type": "string", "description": "What stood there; never a secret."},
        "remedy": {"type": "string", "description": "What to do now."},
    },
}
REFUSALS = {
    "4XX": "Refused, and nothing was changed: 400, 401, 403, 404, 405, 409, 413, 415, 422 or 429.",
    "503": "Not now: a store does not answer. Try again after Retry-After.",
    "507": "No room for data in bulk.",
}
REQUEST_ID: dict[str, Any] = {
    "description": "Names the request in the log: the caller's X-Request-ID where it fits, else one of ours.",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,80}$"},
}
RETRY_AFTER: dict[str, Any] = {"description": "Seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}}
UNIX: dict[str, Any] = {"type": "number", "description": "Unix seconds; above 20,000,000,000 milliseconds."}
OWN_SYNTAX = ("application/json", "application/yaml")  # read as what they mean, of any shape; the rest is text


def bytes_of(*kinds: str) -> dict[str, Any]:
    """The openapi_extra of an operation that answers with a file of one of these content types."""
    content = {each: {"schema": {} if each in OWN_SYNTAX else {"type": "string"}} for each in kinds}
    return {"responses": {200: {"description": "OK", "content": content}}}


def _told(status: str) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": REFUSALS[status],
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return answer if status == "4XX" else {**answer, "headers": {"Retry-After": RETRY_AFTER}}


def _take_numbers(schema: Any, known: dict[str, Any], seen: set[str]) -> None:
    """Say of every time within a schema of what is sent that it may be a number: pydantic takes both."""
    if isinstance(schema, list):
        for each in schema:
            _take_numbers(each, known, seen)
    elif isinstance(schema, dict):
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            seen.add(name)
            _take_numbers(known[name], known, seen)
        if schema.get("format") == "date-time" and schema.get("type") == "string":
            schema["anyOf"] = [{"type": schema.pop("type"), "format": schema.pop("format")}, UNIX]
        else:
            _take_numbers(list(schema.values()), known, seen)


class DocumentedAPI(NinjaAPI):
    """NinjaAPI whose document tells the refusals of every operation, and the headers of every answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._documents: dict[tuple[str, str | None], OpenAPISchema] = {}

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """Return the document with the schema Problem, its answers in every operation, and X-Request-ID in all.

        Made once a process, language and prefix (it takes more than a second): not to be altered by who gets it.
        """
        if path_params:
            return self._made(path_prefix, path_params)
        key = (path_prefix if path_prefix is not None else self.get_root_path({}), get_language())
        if key not in self._documents:
            self._documents = {**self._documents, key: self._made(path_prefix, path_params)}
        return self._documents[key]

    def _made(self, path_prefix: str | None, path_params: dict[str, Any] | None) -> OpenAPISchema:
        document = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        document["components"]["schemas"]["Problem"] = PROBLEM
        document["components"]["headers"] = {"RequestId": REQUEST_ID}
        seen: set[str] = set()
        for operations in document["paths"].values():
            for operation in operations.values():
                sent = [operation.get("parameters", []), operation.get("requestBody", {})]
                _take_numbers(sent, document["components"]["schemas"], seen)
                for status in REFUSALS:
                    operation["responses"].setdefault(status, _told(status))
                for answer in operation["responses"].values():
                    answer.setdefault("headers", {})["X-Request-ID"] = {"$ref": "#/components/headers/RequestId"}
        return document
