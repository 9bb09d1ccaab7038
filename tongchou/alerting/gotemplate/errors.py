"""What can go wrong with a template."""

from __future__ import annotations


class TemplateError(ValueError):
    """A template that cannot be parsed or executed; ``line`` is 1-based within the template text."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class ParseError(TemplateError):
    """The text is not a template: syntax, an unknown function, an undefined variable."""


class ExecutionError(TemplateError):
    """The template is well formed but its data does not fit it."""


class LimitError(ExecutionError):
    """The template asked for more steps, time or output than it may have."""


class Unfit(ValueError):
    """A value that a function, a field or a comparison cannot take; the message is Go's."""
