"""What the solver's process does: solve, and write the solution or the reason why there is none."""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from typing import Any

import model_options
from stagekit import files, problems
from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import StageError

BEFORE = ("build",)
TOLERANCE = 1e-6  # by which constraints may be violated in a solution that is only feasible
INFEASIBLE = ("infeasible", "infeasible_or_unbounded")


def solve(args: argparse.Namespace) -> None:
    """Solve and write ``solution.csv`` and ``solution.json``.

    Raises
    ------
    StageError
        ``infeasible``, ``unbounded``, ``time_limit`` and other reasons why there is no solution.
    """
    try:
        table, about = _solution(args)
    except StageError as error:
        problems.record(args.problems, "solve", error.problems, after=BEFORE)
        raise
    problems.record(args.problems, "solve", [], after=BEFORE)
    with files.whole(args.solution) as temporary:
        table.to_csv(temporary, index=False)
    # ru_maxrss is in kB; the largest of this process and of the programs that it started
    used = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    about["memory_mb"] = max(resource.getrusage(who).ru_maxrss for who in used) * 1024 // 10**6
    files.write_json(args.about, about)
    print(f"{about['status']}, objective {about['objective']:,.6g}", flush=True)


def _solution(args: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    model_options.needs("pandas")
    built = json.loads(args.model_about.read_text(encoding="utf-8"))
    if built["kind"] == "own":
        return _by_plugin(args)
    import linopy
    import solution_parts

    options = {**json.loads(args.options), **_limits(args, linopy.available_solvers)}
    started = time.monotonic()
    model = linopy.read_netcdf(args.model)
    print(
        f"model read in {time.monotonic() - started:.1f} s; solving with {args.solver}", flush=True
    )
    started = time.monotonic()
    api = "direct" if args.solver == "highs" else None
    model.solve(solver_name=args.solver, io_api=api, **options)
    seconds = time.monotonic() - started
    status = _status(args, model)
    about = {
        "status": status,
        "objective": float(model.objective.value),
        "seconds": round(seconds, 3),
        **solution_parts.statistics(model, args.solver),
        "marginals": not built["integers"] and status == "optimal",
        "store": built["store"],
    }
    table, about["parts"] = solution_parts.table(model, about["marginals"])
    return table, about


def _limits(args: argparse.Namespace, available: list[str]) -> dict[str, Any]:
    """Give the limits as the solver's own options, and make sure that it takes all options."""
    if args.solver not in available:
        near = did_you_mean(nearest(args.solver, available))
        raise StageError(
            "unknown_solver",
            f"The plug-in's environment has no solver {args.solver!r}.{near} It has:"
            f" {', '.join(available) or 'none'}.",
        )
    if args.solver != "highs":
        return {}  # stopped from outside when the time is over
    import highspy

    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    known = [name for name in dir(highs.getOptions()) if not name.startswith("_")]
    for name, value in json.loads(args.options).items():
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            there = highs.getOptionValue(name)[0] == highspy.HighsStatus.kOk
            near = "" if there else did_you_mean(nearest(name, known))
            raise StageError(
                "wrong_solver_option",
                f"HiGHS does not take the option {name!r} with the value {value!r}.{near}",
            )
    return {"time_limit": args.time_limit, "threads": args.threads}


def _status(args: argparse.Namespace, model: Any) -> str:
    """Give ``optimal`` or ``feasible``, or raise what else happened."""
    ended = str(model.termination_condition)
    if ended == "optimal":
        return "optimal"
    if ended == "resource_interrupt":  # HiGHS could not allocate
        raise MemoryError
    if ended in INFEASIBLE or ended == "unbounded":
        raise _no_solution(model, ended)
    import solution_parts

    feasible = solution_parts.violation(model) <= TOLERANCE
    why = {
        "time_limit": f"The time limit of {args.time_limit:g} seconds is over",
        "iteration_limit": "The limit of iterations is reached",
    }.get(ended, f"The solver ended with {ended!r}")
    if not feasible:
        code = ended if ended in ("time_limit", "iteration_limit") else "no_solution"
        raise StageError(
            code, f"{why}, and the solver has found no solution yet. Raise `time_limit`."
        )
    gap = solution_parts.statistics(model, args.solver)["gap"]
    known = "" if gap is None else f", with a gap of {gap:.3%} to the best possible objective"
    if args.accept == "feasible":
        print(f"{why}; a feasible solution is accepted{known}", flush=True)
        return "feasible"
    raise StageError(
        ended if ended in ("time_limit", "iteration_limit") else "not_optimal",
        f"{why} before the best solution was proved to be optimal{known}. Raise `time_limit`, or"
        " set `accept` to feasible to store it as it is.",
    )


def _no_solution(model: Any, ended: str) -> StageError:
    try:
        import solve_diagnosis
    except ImportError:
        return StageError(
            "unbounded" if ended == "unbounded" else "infeasible",
            f"The model is {ended.replace('_', ' ')}. To have the constraints named, add highspy to"
            " the plug-in's environment.",
        )
    print("looking for the constraints that are the reason", flush=True)
    diagnosis = solve_diagnosis.Diagnosis(model)
    if ended == "unbounded":
        return diagnosis.unbounded()
    error = diagnosis.infeasible()
    if ended == "infeasible_or_unbounded" and not error.problems:
        return solve_diagnosis.Diagnosis(model).unbounded()
    return error


def _by_plugin(args: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Let a plug-in solve that does not build a linopy model."""
    import model_plugin
    import solution_parts
    from model_items import Items, Settings

    plugin, items = model_plugin.find(args), Items.read(args.items)
    folder = (args.about.parent / "plugin").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings = Settings(
        args.time_limit, args.threads, args.mem_mb, json.loads(args.options), folder
    )
    started = time.monotonic()
    assert plugin.solve is not None
    answer = model_plugin.call(plugin.file, plugin.name, plugin.solve, items, settings)
    table, about = solution_parts.of_plugin(answer, items, plugin, args.accept)
    shutil.rmtree(folder)
    return table, {"seconds": round(time.monotonic() - started, 3), **about}
