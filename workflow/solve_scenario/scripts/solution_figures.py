"""The solution as the report needs it: by part, with its largest shadow prices."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

ZERO = 1e-9  # levels and marginals below are shown as nothing


@dataclass(frozen=True)
class Price:
    """A shadow price: what one more unit of a limit is worth."""

    name: str
    at: tuple[str, ...]
    level: float
    marginal: float


@dataclass(frozen=True)
class Part:
    """A variable or an equation of the model.

    Attributes
    ----------
    kind : {"variables", "equations"}
    name : str
        In the model; `stored` on the platform, None if it is not stored.
    dimensions : tuple of str
        Columns of `data`, beside ``level`` and ``marginal``.
    """

    kind: str
    name: str
    stored: str | None
    dimensions: tuple[str, ...]
    data: pl.DataFrame

    @property
    def used(self) -> int:
        """How many levels are not zero."""
        return self._above("level")

    @property
    def binding(self) -> int:
        """How many marginals are not zero."""
        return self._above("marginal")

    def _above(self, column: str) -> int:
        return int((self.data[column].abs() > ZERO).sum())


@dataclass(frozen=True)
class Solution:
    """Everything the report is made of: the documents of the stages, and the parts."""

    items: dict[str, Any]
    model: dict[str, Any]
    about: dict[str, Any]
    stored: dict[str, Any]
    job: dict[str, Any]
    parts: list[Part]

    @property
    def prices(self) -> list[Price]:
        """The shadow prices that are not zero, the largest first."""
        found = [
            Price(part.name, tuple(str(row[d]) for d in part.dimensions), row["level"],
                  row["marginal"])
            for part in self.parts if part.kind == "equations"
            for row in part.data.filter(pl.col("marginal").abs() > ZERO).iter_rows(named=True)
        ]  # fmt: skip
        return sorted(found, key=lambda price: (-abs(price.marginal), price.name, price.at))


def read(args: argparse.Namespace) -> Solution:
    """Read all files that the report is about."""
    about = _document(args.about)
    table = pl.read_csv(args.solution, infer_schema=False).with_columns(
        pl.col("level", "marginal").cast(pl.Float64)
    )
    return Solution(
        items=_document(args.items),
        model=_document(args.model),
        about=about,
        stored=_document(args.stored),
        job=yaml.safe_load(args.job.read_text(encoding="utf-8")) or {},
        parts=[_part(table, entry, about["store"]) for entry in about["parts"]],
    )


def _part(table: pl.DataFrame, entry: dict[str, Any], store: dict[str, Any]) -> Part:
    kind, name, dims = entry["kind"], entry["name"], entry["dimensions"]
    rows = table.filter((pl.col("kind") == kind) & (pl.col("name") == name))
    columns = [pl.col(f"index_{number}").alias(dim) for number, dim in enumerate(dims, start=1)]
    target = store[kind].get(name)
    stored = None if target is None else target["name"]
    return Part(kind, name, stored, tuple(dims), rows.select(*columns, "level", "marginal"))


def _document(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
