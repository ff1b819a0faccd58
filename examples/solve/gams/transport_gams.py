"""Dantzig's transport problem in GAMS: a plug-in that solves its model itself.

Needs the environment of ``environment.yaml`` beside this file.
"""

import gamspy as gp

RESULTS = {"objective": "z"}


def solve(items, settings):
    """Solve the scenario and give levels and marginals."""
    model = gp.Container(working_directory=str(settings.folder))
    i = gp.Set(model, "i", records=list(items.indexsets["i"]))
    j = gp.Set(model, "j", records=list(items.indexsets["j"]))
    a = gp.Parameter(model, "a", domain=i, records=records(items, "a"))
    b = gp.Parameter(model, "b", domain=j, records=records(items, "b"))
    d = gp.Parameter(model, "d", domain=[i, j], records=records(items, "d"))
    x = gp.Variable(model, "x", "positive", domain=[i, j])
    supply = gp.Equation(model, "supply", domain=i)
    demand = gp.Equation(model, "demand", domain=j)
    supply[i] = gp.Sum(j, x[i, j]) <= a[i]
    demand[j] = gp.Sum(i, x[i, j]) >= b[j]
    cost = gp.Sum((i, j), items.scalars["f"] / 1000 * d[i, j] * x[i, j])
    transport = gp.Model(
        model, "transport", equations=[supply, demand], problem="LP", sense="min", objective=cost
    )
    options = gp.Options(time_limit=settings.time_limit, threads=settings.threads)
    transport.solve(options=options)
    if transport.status is not gp.ModelStatus.OptimalGlobal:
        status = "infeasible" if "nfeasible" in transport.status.name else transport.status.name
        return {"status": status, "message": f"GAMS ended with {transport.status.name}."}
    return {
        "status": "optimal",
        "objective": transport.objective_value,
        "solver": "GAMS",
        "iterations": int(transport.num_iterations),
        "variables": {"x": solution(x)},
        "equations": {"supply": solution(supply), "demand": solution(demand)},
    }


def records(items, name):
    """Give a parameter as GAMS wants it: elements, then the value."""
    return items.parameters[name].reset_index()


def solution(symbol):
    """Give level and marginal by the names of the index sets."""
    table = symbol.records.rename(
        columns=dict(zip(symbol.records, symbol.domain_names, strict=False))
    )
    return table.set_index(list(symbol.domain_names))[["level", "marginal"]]
