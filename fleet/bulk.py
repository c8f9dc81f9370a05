"""Set-based statements that Django's ORM has no words for, the same on PostgreSQL and SQLite."""

import json

from django.db import connection
from django.db.models import JSONField


def update(model, columns, rows, where=""):
    """One ``UPDATE … FROM (VALUES …)``: set ``columns`` of ``model`` by primary key.

    ``rows`` are tuples (pk, value, …) in the order of ``columns``, values as Django fields take them.
    ``where`` is a further condition on ``t`` (the row) and ``v`` (its new values). Returns the rows changed.
    """
    if not rows:
        return 0
    fields = [model._meta.pk, *(model._meta.get_field(column) for column in columns)]
    names = ["pk", *(f"c{number}" for number in range(len(columns)))]
    source, values = (_as_json if connection.vendor == "postgresql" else _as_values)(fields, names, rows)
    sets = ", ".join(f"{_quoted(field.column)} = v.{name}" for field, name in zip(fields[1:], names[1:], strict=True))
    sql = (
        f"WITH v({', '.join(names)}) AS ({source}) "
        f"UPDATE {_quoted(model._meta.db_table)} AS t SET {sets} FROM v "
        f"WHERE t.{_quoted(model._meta.pk.column)} = v.pk{' AND ' + where if where else ''}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.rowcount


def _as_values(fields, names, rows):
    prepared = [field.get_db_prep_save for field in fields]
    place = f"({', '.join(['%s'] * len(fields))})"
    values = [prepare(value, connection) for row in rows for prepare, value in zip(prepared, row, strict=True)]
    return f"VALUES {', '.join([place] * len(rows))}", values


def _as_json(fields, names, rows):
    """One parameter whatever the number of rows: psycopg takes hundreds of them apart in Python."""
    prepared = [(lambda value: value) if isinstance(field, JSONField) else field.get_prep_value for field in fields]
    columns = ", ".join(f"{name} {_type(field)}" for name, field in zip(names, fields, strict=True))
    listed = [{name: prepare(value) for name, prepare, value in zip(names, prepared, row, strict=True)} for row in rows]
    return f"SELECT * FROM json_to_recordset(%s) AS v({columns})", [json.dumps(listed, default=str)]


def _quoted(name):
    return connection.ops.quote_name(name)


def _type(field):
    return field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
