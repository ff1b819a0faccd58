"""A column by whose index SQLite shall not look.

SQLite keeps no statistics unless told to, and of two indexes that fit takes any: all jobs of a
type, say, instead of the three of a user. ``+column`` is its documented way to be told. PostgreSQL
knows by itself.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal


class _Unindexed(ColumnElement[Any]):  # type: ignore[misc, unused-ignore]
    _traverse_internals = [("column", InternalTraversal.dp_clauseelement)]  # noqa: RUF012
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.column = column
        self.type = column.type


def unindexed(column: Any) -> Any:
    """Give `column`, to be compared only."""
    return _Unindexed(column.expression)


@compiles(_Unindexed)  # type: ignore[untyped-decorator, unused-ignore]
def _plain(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return str(compiler.process(element.column, **options))


@compiles(_Unindexed, "sqlite")  # type: ignore[untyped-decorator, unused-ignore]
def _with_plus(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return "+" + str(compiler.process(element.column, **options))
