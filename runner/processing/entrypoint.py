"""Find the entry point of a processing repository without running any of its code."""

from __future__ import annotations

import ast
from pathlib import Path

from runner.errors import ProcessingFailed

MODULE = "workflow.py"


def check(checkout: Path, entry: str, repository: str) -> None:
    """Make sure that ``workflow.py`` has the function `entry`.

    Raises
    ------
    ProcessingFailed
        If there is no such file or function, with the functions that there are.
    """
    path = checkout / MODULE
    if not path.is_file():
        raise ProcessingFailed(
            f"{repository} has no {MODULE}: it is no processing repository. It needs a {MODULE} "
            f"with a function `{entry}(df)` that takes and gives a pyam.IamDataFrame."
        )
    try:
        module = ast.parse(path.read_bytes(), MODULE)
    except (SyntaxError, ValueError) as error:
        raise ProcessingFailed(f"{MODULE} of {repository} is not valid Python: {error}.") from error
    functions, others = _names(module)
    if entry not in functions | others and "*" not in others:
        listed = ", ".join(sorted(n for n in functions if not n.startswith("_"))) or "none"
        raise ProcessingFailed(
            f"{MODULE} of {repository} has no function `{entry}`. Its functions are: {listed}."
        )


def _names(module: ast.Module) -> tuple[set[str], set[str]]:
    """Give the functions of a module, and the other names that could be callable."""
    functions: set[str] = set()
    others: set[str] = set()
    for node in _top_level(module.body):
        if isinstance(node, ast.FunctionDef):
            functions.add(node.name)
        elif isinstance(node, ast.ClassDef):
            others.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            others |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            others |= {alias.asname or alias.name for alias in node.names}
    return functions, others


def _top_level(body: list[ast.stmt]) -> list[ast.stmt]:
    """Give the statements of a module, those within ``if`` and ``try`` included."""
    found = []
    for node in body:
        found.append(node)
        for name in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try):
                found += _top_level(getattr(node, name, []))
        for handler in getattr(node, "handlers", []):
            found += _top_level(handler.body)
    return found
