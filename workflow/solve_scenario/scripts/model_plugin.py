"""Finding a model plug-in and calling it; what goes wrong in it is told with file and line."""

from __future__ import annotations

import hashlib
import linecache
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from model_items import ItemError
from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import StageError

GROUP = "jobrunner.models"
SHIPPED = Path(__file__).resolve().parents[1] / "models"
LIBRARIES = ("site-packages", "dist-packages")  # folders in which Python packages are installed


@dataclass(frozen=True)
class Plugin:
    """A model plug-in that was found.

    Attributes
    ----------
    name : str
        What people call it: a name, or a file name.
    file : Path
        Where its code stands.
    module : module
        The plug-in itself.
    build : callable or None
        Gives a linopy model of the items.
    solve : callable or None
        Solves without linopy; then there is no `build`.
    """

    name: str
    file: Path
    module: ModuleType
    build: Callable[..., Any] | None
    solve: Callable[..., Any] | None

    @property
    def digest(self) -> str:
        """SHA-256 of its file."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def setting(self, name: str) -> dict[str, Any]:
        """Give a mapping that the plug-in may define, such as ``RESULTS``; else an empty one."""
        value = getattr(self.module, name, {})
        if not isinstance(value, dict):
            raise StageError("wrong_plugin", f"{name} of {self.name} is no dict: {value!r}.")
        return value


def find(args: Namespace) -> Plugin:
    """Find and import the plug-in that the options name.

    Raises
    ------
    StageError
        ``no_plugin``, ``two_plugins``, ``unknown_plugin``, ``wrong_plugin``, or what `call` raises.
    """
    if args.file and args.plugin:
        raise StageError(
            "two_plugins",
            f"The job names the plug-in {args.plugin!r} and brings the file {args.file.name}. Leave"
            " one of them out.",
        )
    if args.file:
        return _from_file(args.file, args.file.name)
    if args.plugin and args.plugin.endswith(".py"):
        return _in_repository(args.plugin, args.checkout)
    if args.plugin:
        return _named(args.plugin)
    if args.checkout:
        return _from_file(args.checkout / "workflow.py", "workflow.py", entry=args.entry)
    raise StageError(
        "no_plugin",
        "The job names no model plug-in. Give the parameter `plugin` (of this job type:"
        f" {', '.join(_shipped())}), the input `plugin`, or a processing repository.",
    )


def call(plugin_file: Path, name: str, function: Callable[..., Any], *given: Any) -> Any:
    """Call code of a plug-in; an error in it names the last line of the plug-in that ran.

    Raises
    ------
    StageError
        ``plugin_failed``, ``wrong_items`` if the scenario lacks an item, ``package_missing``.
    """
    try:
        return function(*given)
    except StageError:
        raise
    except MemoryError:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        sys.stderr.write(traceback.format_exc())
        raise _explained(error, plugin_file, name) from error


def _explained(error: BaseException, file: Path, name: str) -> StageError:
    where = _where(error, file)
    said = str(error).strip() or type(error).__name__
    if isinstance(error, ItemError):
        return StageError("wrong_items", f"{said} The model plug-in {name} asks for it{where}.")
    if isinstance(error, ModuleNotFoundError) and error.name:
        return StageError(
            "package_missing",
            f"The model plug-in {name} imports {error.name!r}, which its environment does not have"
            f"{where}. Name the package in the environment file or in requirements.txt.",
        )
    kind = type(error).__name__
    return StageError("plugin_failed", f"The model plug-in {name} failed{where}: {kind}: {said}")


def _where(error: BaseException, file: Path) -> str:
    """Say where in the plug-in an error came from: its last line, not one of a library."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f" in line {error.lineno}"
    # beside a module that is installed on its own there are the libraries
    place = file if file.parent.name in LIBRARIES else file.parent
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(place)]
    if not own:
        return ""
    frame = own[-1]
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    other = f" of {Path(frame.filename).name}" if Path(frame.filename) != file else ""
    return f" in line {frame.lineno}{other}, in {frame.name} (`{line}`)"


def _from_file(path: Path, name: str, entry: str = "build") -> Plugin:
    if not path.is_file():
        raise StageError("unknown_plugin", f"There is no model plug-in {name}.")
    path = path.resolve()

    def load() -> ModuleType:
        module = ModuleType("jobrunner_model_plugin")
        module.__file__ = str(path)
        sys.modules[module.__name__] = module
        sys.path.append(str(path.parent))  # a plug-in of several files finds its others
        sys.dont_write_bytecode = True  # its folder is not ours, and may be read-only
        exec(compile(path.read_bytes(), path, "exec"), vars(module))  # noqa: S102 - that is the task
        return module

    return _checked(name, path, call(path, name, load), entry)


def _in_repository(name: str, checkout: Path | None) -> Plugin:
    if checkout is None:
        raise StageError(
            "unknown_plugin",
            f"{name!r} is a file of a processing repository, and the job names none. Submit the"
            " file as the input `plugin`, or name the repository.",
        )
    path = (checkout / name).resolve()
    if not path.is_relative_to(checkout.resolve()) or not path.is_file():
        files = [p.relative_to(checkout).as_posix() for p in sorted(checkout.rglob("*.py"))]
        near = did_you_mean(nearest(name, files)) or f" It has: {', '.join(files[:10]) or 'none'}."
        raise StageError("unknown_plugin", f"The processing repository has no file {name!r}.{near}")
    return _from_file(path, name)


def _named(name: str) -> Plugin:
    if name in _shipped():
        return _from_file(SHIPPED / f"{name}.py", name)
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if name not in installed:
        known = [*_shipped(), *sorted(installed)]
        near = did_you_mean(nearest(name, known)) or f" There are: {', '.join(known)}."
        raise StageError(
            "unknown_plugin",
            f"There is no model {name!r}, neither with this job type nor as an entry point of the"
            f" group {GROUP} in the plug-in's environment.{near}",
        )
    point = installed[name]
    module = call(_code_of(point), name, point.load)
    if not isinstance(module, ModuleType):
        raise StageError(
            "wrong_plugin",
            f"The entry point {name!r} of the group {GROUP} is {point.value}, which is no module."
            " It must name the module that has build(items) or solve(items, settings).",
        )
    return _checked(name, Path(str(module.__file__)), module, "build")


def _code_of(point: EntryPoint) -> Path:
    """Say where the code of an entry point stands; it is not imported for that."""
    spec = find_spec(point.module.partition(".")[0])
    return Path((spec.origin if spec else None) or os.devnull)


def _checked(name: str, file: Path, module: ModuleType, entry: str) -> Plugin:
    build = getattr(module, entry, None) or getattr(module, "build", None)
    solve = getattr(module, "solve", None)
    if callable(build) or callable(solve):
        return Plugin(name, file, module, build if callable(build) else None, solve)
    found = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
    raise StageError(
        "wrong_plugin",
        f"The model plug-in {name} has neither a function build(items), which gives a linopy model,"
        f" nor solve(items, settings). It has: {', '.join(found) or 'no functions'}.",
    )


def _shipped() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.py"))
