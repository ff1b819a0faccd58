"""Dantzig's transport problem: from which plant to which market, at the least cost.

G. B. Dantzig, *Linear Programming and Extensions*, Princeton University Press, 1963, chapter 3-3.
Items are called as in the ixmp4 tutorial: index sets ``i`` (plants) and ``j`` (markets), scalar
``f`` (freight, USD per case and 1000 miles), parameters ``a`` (capacity, cases), ``b`` (demand,
cases) and ``d`` (distance, 1000 miles).
"""

import linopy

RESULTS = {"objective": "z"}  # the variable of the platform that gets the total cost


def build(items):
    """Give the model of a scenario."""
    i, j = items.indexsets["i"], items.indexsets["j"]
    cost = items.scalars["f"] * items.array("d") / 1000  # thousand USD per case
    model = linopy.Model()
    x = model.add_variables(lower=0, coords=[i, j], name="x")
    model.add_constraints(x.sum("j") <= items.array("a"), name="supply")
    model.add_constraints(x.sum("i") >= items.array("b"), name="demand")
    model.add_objective((cost * x).sum())
    return model
