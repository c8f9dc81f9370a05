"""Set-based statements that Django's ORM has no words for, the same on PostgreSQL and SQLite."""

from django.db import connection


def update(model, columns, rows, where=""):
    """One ``UPDATE … FROM (VALUES …)``: set ``columns`` of ``model`` by primary key.

    ``rows`` are tuples (pk, value, …) in the order of ``columns``, values as Django fields take them.
    ``where`` is a further condition on ``t`` (the row) and ``v`` (its new values). Returns the rows changed.
    """
    if not rows:
        return 0
    fields = [model._meta.pk, *(model._meta.get_field(column) for column in columns)]
    names = ["pk", *(f"c{number}" for number in range(len(columns)))]
    casts = [_cast(field) for field in fields]
    sets = ", ".join(
        f"{_quoted(field.column)} = {cast.format(f'v.{name}')}"
        for field, name, cast in zip(fields[1:], names[1:], casts[1:], strict=True)
    )
    prepared = [field.get_db_prep_save for field in fields]
    place = f"({', '.join(['%s'] * len(fields))})"
    sql = (
        f"WITH v({', '.join(names)}) AS (VALUES {', '.join([place] * len(rows))}) "
        f"UPDATE {_quoted(model._meta.db_table)} AS t SET {sets} FROM v "
        f"WHERE t.{_quoted(model._meta.pk.column)} = {casts[0].format('v.pk')}{' AND ' + where if where else ''}"
    )
    values = [prepare(value, connection) for row in rows for prepare, value in zip(prepared, row, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.rowcount


def _quoted(name):
    return connection.ops.quote_name(name)


def _cast(field):
    """PostgreSQL takes untyped VALUES for text; SQLite keeps what it is given."""
    if connection.vendor != "postgresql":
        return "{}"
    kind = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    return f"CAST({{}} AS {kind})"
