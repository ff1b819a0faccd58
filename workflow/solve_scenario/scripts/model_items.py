"""What a model plug-in gets: the scenario's items as pandas objects, and its settings.

Runs in the plug-in's environment: Python 3.11, any pandas 2 or newer; xarray for `Items.array`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd
from stagekit.nearest import did_you_mean, nearest

Value = TypeVar("Value")


class ItemError(Exception):
    """The scenario does not have what a plug-in asks for."""


class Named(dict[str, Value], Generic[Value]):
    """Items by name; an unknown name is an error that says which there are."""

    def __init__(self, kind: str, items: dict[str, Value]) -> None:
        super().__init__(items)
        self.kind = kind

    def __missing__(self, name: str) -> Value:
        near = nearest(name, list(self))
        known = did_you_mean(near) or f" It has: {', '.join(sorted(self)) or 'none'}."
        raise ItemError(f"The scenario has no {self.kind} {name!r}.{known}")


@dataclass(frozen=True)
class Settings:
    """What the job asks of a plug-in that solves its model itself.

    Attributes
    ----------
    time_limit : float
        Seconds.
    threads : int
        How many the plug-in may use.
    mem_mb : int
        MB of memory that the process may take, the programs that it starts each as well.
    options : dict
        The job's ``solver_options``.
    folder : Path
        Where it may write files; it is removed afterwards.
    """

    time_limit: float
    threads: int
    mem_mb: int
    options: dict[str, Any]
    folder: Path


class Items:
    """The optimisation items of one scenario version.

    Attributes
    ----------
    run : dict
        ``model``, ``scenario``, ``version``.
    indexsets : dict of str to pandas.Index
        Named like the index set, in the platform's order.
    scalars : dict of str to float
        In the unit that `unit` gives.
    parameters : dict of str to pandas.Series
        Values by the parameter's columns; a parameter without index sets has an index of length 1.
    tables : dict of str to pandas.DataFrame
        One column per column of the table.
    variables, equations : dict of str to pandas.DataFrame
        ``levels`` and ``marginals`` that the version has already, by the item's columns.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.run: dict[str, Any] = content["run"]
        self.indexsets: Named[pd.Index] = Named(
            "index set",
            {name: pd.Index(data, name=name) for name, data in content["indexsets"].items()},
        )
        self.scalars: Named[float] = Named(
            "scalar", {name: entry["value"] for name, entry in content["scalars"].items()}
        )
        self.parameters: Named[pd.Series] = Named(
            "parameter", {n: self._indexed(e)["values"] for n, e in content["parameters"].items()}
        )
        self.tables: Named[pd.DataFrame] = Named(
            "table",
            {
                n: pd.DataFrame(e["data"], columns=e["columns"])
                for n, e in content["tables"].items()
            },
        )
        self.variables: Named[pd.DataFrame] = self._solution("variable", "variables")
        self.equations: Named[pd.DataFrame] = self._solution("equation", "equations")

    @classmethod
    def read(cls, path: Path) -> Items:
        """Read ``work/items.json``."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def unit(self, name: str) -> str:
        """Give the unit of a scalar or parameter.

        Raises
        ------
        ItemError
            If there is none of this name, or its values have several units.
        """
        if name in self.scalars:
            return str(self.content["scalars"][name]["unit"])
        self.parameters[name]
        units = sorted(set(self.content["parameters"][name]["data"].get("units", [])))
        if len(units) > 1:
            raise ItemError(f"The parameter {name!r} has several units: {', '.join(units)}.")
        return units[0] if units else ""

    def array(self, name: str, fill: float | None = None) -> Any:
        """Give a parameter as an array with all elements of its index sets.

        Parameters
        ----------
        name : str
            The parameter.
        fill : float, optional
            The value of what the platform has no value for. Without it there must be all.

        Returns
        -------
        xarray.DataArray
            Dimensions are the parameter's columns, coordinates the elements in the platform's
            order.

        Raises
        ------
        ItemError
            If values are missing; the message names the first of them.
        """
        import xarray as xr

        values, entry = self.parameters[name], self.content["parameters"][name]
        if not entry["columns"]:
            return xr.DataArray(float(values.iloc[0]), name=name)
        axes = [
            pd.Index(self.indexsets[indexset], name=column)
            for column, indexset in zip(entry["columns"], entry["indexsets"], strict=True)
        ]
        full = pd.MultiIndex.from_product(axes) if len(axes) > 1 else axes[0]
        dense = values.reindex(full)
        missing = list(dense.index[dense.isna()])
        if missing and fill is None:
            first = ", ".join(_label(name, key) for key in missing[:3])
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise ItemError(f"The parameter {name!r} has no value for {first}{more}.")
        if missing:
            dense = dense.fillna(fill)
        shape = [len(axis) for axis in axes]
        return xr.DataArray(dense.to_numpy(float).reshape(shape), coords=axes, name=name)

    def _indexed(self, entry: dict[str, Any]) -> pd.DataFrame:
        frame = pd.DataFrame(entry["data"])
        if frame.empty:
            frame = pd.DataFrame(columns=[*entry["columns"], "values", "units"])
        return frame.set_index(entry["columns"]) if entry["columns"] else frame

    def _solution(self, kind: str, kinds: str) -> Named[pd.DataFrame]:
        found = {}
        for name, entry in self.content[kinds].items():
            columns = [*entry["columns"], "levels", "marginals"]
            frame = pd.DataFrame(entry["data"], columns=columns)
            found[name] = frame.set_index(entry["columns"]) if entry["columns"] else frame
        return Named(kind, found)


def _label(name: str, key: Any) -> str:
    parts = key if isinstance(key, tuple) else (key,)
    return f"{name}[{', '.join(str(part) for part in parts)}]"
