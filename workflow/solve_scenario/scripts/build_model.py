"""BUILD: let the plug-in build its model, and find out where its solution will be stored."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

import model_options
from stagekit import files, problems, program
from stagekit.problems import StageError


def main(args: argparse.Namespace) -> None:
    """Build the model; write it and what is known about it."""
    try:
        document = _build(args)
    except StageError as error:
        problems.record(args.problems, "build", error.problems)
        raise
    problems.record(args.problems, "build", [])
    files.write_json(args.about, document)


def _build(args: argparse.Namespace) -> dict[str, Any]:
    model_options.needs("pandas")
    import model_plugin
    from model_items import Items

    plugin = model_plugin.find(args)
    items = Items.read(args.items)
    about: dict[str, Any] = {"plugin": plugin.name, "sha256": plugin.digest}
    if plugin.build is None:
        print(f"{plugin.name} solves its model itself; there is nothing to build", flush=True)
        with files.whole(args.model) as temporary:
            temporary.write_text("the plug-in solves by itself\n", encoding="utf-8")
        return {**about, "kind": "own"}
    started = time.monotonic()
    model = model_plugin.call(plugin.file, plugin.name, plugin.build, items)
    _check(model, plugin.name)
    about |= {"kind": "linopy", **_size(model), "store": _targets(model, items, plugin)}
    print(
        f"{about['columns']:,} variables, {about['rows']:,} constraints,"
        f" {time.monotonic() - started:.1f} s",
        flush=True,
    )
    with files.whole(args.model) as temporary:
        model.to_netcdf(temporary)
    return about


def _check(model: Any, name: str) -> None:
    model_options.needs("linopy")
    import linopy

    if not isinstance(model, linopy.Model):
        raise StageError(
            "wrong_model",
            f"The model plug-in {name} gave a {type(model).__name__}, not a linopy.Model: does its"
            " function end with `return`?",
        )
    if not len(model.variables):
        raise StageError("wrong_model", f"The model that {name} built has no variables.")
    if model.objective.expression is None or model.objective.expression.empty:
        raise StageError("wrong_model", f"The model that {name} built has no objective.")


def _size(model: Any) -> dict[str, Any]:
    return {
        "columns": int(model.nvars),
        "rows": int(model.ncons),
        "sense": str(model.objective.sense),
        "integers": sum(int(model.variables[n].size) for n in [*model.integers, *model.binaries]),
        "quadratic": bool(model.is_quadratic),
    }


def _targets(model: Any, items: Any, plugin: Any) -> dict[str, Any]:
    import model_names

    parts = {
        "variables": {n: _elements(model.variables[n]) for n in model.variables},
        "equations": {n: _elements(model.constraints[n]) for n in model.constraints},
    }
    return model_names.targets_of(parts, items.content, plugin)


def _elements(part: Any) -> dict[str, list[Any]]:
    return {str(dim): part.indexes[dim].tolist() for dim in part.coord_dims}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("items", "model", "about", "problems"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    model_options.add(parser)
    parser.add_argument("--error", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("build", arguments.error, lambda: main(arguments)))
