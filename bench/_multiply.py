"""Many rows out of few, inside the database: what a million rows through Python would take minutes for."""

from __future__ import annotations

from typing import Any

from django.db import connection, models


def multiply(model: type[models.Model], templates: list[Any], until: int) -> None:
    """Copy the template rows until there are `until`: each copy its own key, unique values and, further back, times."""
    copies = (until - model._default_manager.count()) // len(templates)
    if copies <= 0:
        return
    table = connection.ops.quote_name(model._meta.db_table)
    together = {name for each in model._meta.total_unique_constraints for name in each.fields}
    together |= {name for each in model._meta.constraints if isinstance(each, models.UniqueConstraint) for name in each.fields}  # fmt: skip
    columns, values = [], []
    for field in model._meta.concrete_fields:
        if not isinstance(field, models.AutoField):
            columns.append(connection.ops.quote_name(field.column))
            values.append(_copied(field, columns[-1], unique=field.unique or field.name in together))
    key = connection.ops.quote_name(str(model._meta.pk.column))
    prepared = [model._meta.pk.get_db_prep_value(each, connection) for each in templates]
    marks = ", ".join(["%s"] * len(prepared))
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE copy(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM copy WHERE k < {copies})"
            f" INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM copy CROSS JOIN {table}"
            f" WHERE {key} IN ({marks}) ON CONFLICT DO NOTHING",
            prepared,
        )


def _copied(field: Any, column: str, *, unique: bool) -> str:
    """SQL of the value in copy number k."""
    postgres = connection.vendor == "postgresql"
    hexadecimal = "md5(random()::text)" if postgres else "lower(hex(randomblob(16)))"
    if isinstance(field, models.DateTimeField):
        if postgres:
            return f"{column} - k * interval '1000 seconds'"
        return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f000', {column}, '-' || (k * 1000) || ' seconds')"
    if not unique or field.is_relation:
        return "NULL" if unique and field.unique and field.null else column
    if isinstance(field, models.UUIDField):
        return "gen_random_uuid()" if postgres else hexadecimal
    if isinstance(field, models.CharField | models.TextField) and not field.choices:
        short = field.max_length is not None and field.max_length <= 64
        return f"substr({hexadecimal}, 1, {field.max_length})" if short else f"{column} || '-' || k"
    return f"{column} + k * 10000" if isinstance(field, models.IntegerField) else column
