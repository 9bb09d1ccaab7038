"""A column whose JSON is encrypted at rest with the key of the secrets: settings and addresses may carry keys."""

from __future__ import annotations

import json
from typing import Any

from django.db import models

from tongchou.core import secrets

MARK = "sealed:"


class SealedJSONField(models.JSONField):
    """JSON as Python sees it; in the database a JSON string of ciphertext.

    What was written plain before is read as it is. It can be read and written, not searched by its parts.
    Raises Unavailable when it was sealed with another key.
    """

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Seal on the way in."""
        sealed = None if value is None else MARK + secrets.seal(json.dumps(value))
        return super().get_db_prep_value(sealed, connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Open on the way out."""
        found = super().from_db_value(value, expression, connection)
        if isinstance(found, str) and found.startswith(MARK):
            return json.loads(secrets.unseal(found.removeprefix(MARK), name=self.name))
        return found
