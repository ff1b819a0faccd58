"""Capacity expansion: what to build in which period, so that every hour's load is met.

Minimises discounted cost over all periods, with a limit on emissions and lines between nodes.
Index sets: ``node``, ``technology``, ``year`` (periods), ``slice`` (typical hours). Parameters by
``technology``: ``investment`` (USD/kW), ``fixed_cost`` (USD/kW/a), ``variable_cost`` (USD/MWh),
``lifetime`` (a), ``emission_factor`` (t/MWh), ``buildable`` (0 or 1); ``existing`` (GW by node,
technology, year), ``availability`` (by node, technology, slice), ``load`` (GW by node, year,
slice), ``hours`` (a year's hours by slice), ``emission_cap`` (Mt/a by year), ``line`` (GW by
``from`` and ``to``). Scalars: ``discount_rate``, ``period_length`` (a).

Costs are in million USD: GW times USD/kW is million USD, GW times h times USD/MWh thousand.
"""

import linopy
import numpy as np
import pandas as pd
import xarray as xr

RESULTS = {"objective": "total_cost", "unserved": "unserved_load"}
DIMENSIONS = {"from": "node", "to": "node"}
UNSERVED = 5000  # USD/MWh: more than any technology costs


def build(items):
    """Give the model of a scenario."""
    node, technology = items.indexsets["node"], items.indexsets["technology"]
    year, hours = items.indexsets["year"], items.array("hours")
    over = [node, technology, year]
    model = linopy.Model()
    new = model.add_variables(lower=0, coords=over, name="new_capacity")
    total = model.add_variables(lower=0, coords=over, name="capacity")
    use = model.add_variables(lower=0, coords=[*over, items.indexsets["slice"]], name="generation")
    missing = model.add_variables(
        lower=0, coords=[node, year, items.indexsets["slice"]], name="unserved"
    )
    flow = _flows(model, items)

    alive = _alive(items)  # of what was built in `vintage`, what still stands in `year`
    standing = (new.rename(year="vintage") * alive).sum("vintage")
    model.add_constraints(total - standing == items.array("existing"), name="capacity_balance")
    model.add_constraints(
        use - total * items.array("availability", fill=0) <= 0, name="availability_limit"
    )
    balance = use.sum("technology") + missing + _net_imports(flow, node)
    model.add_constraints(balance >= items.array("load"), name="load_balance")
    emitted = (use * hours * items.array("emission_factor")).sum(["node", "technology", "slice"])
    model.add_constraints(emitted / 1000 <= items.array("emission_cap"), name="emission_limit")
    closed = items.array("buildable") == 0
    model.add_constraints(new <= 0, name="not_buildable", mask=closed.broadcast_like(new.labels))

    length, weight = items.scalars["period_length"], _weights(items)
    running = (use * (hours * items.array("variable_cost") * weight * length / 1000)).sum()
    running += (missing * (hours * UNSERVED * weight * length / 1000)).sum()
    kept = (total * (items.array("fixed_cost") * weight * length)).sum()
    built = (new * (items.array("investment") * weight * _used_part(items))).sum()
    model.add_objective(built + kept + running)
    return model


def _flows(model, items):
    """Add the flows along lines, for the pairs of nodes that have one."""
    line = items.array("line", fill=0)
    over = [line.indexes["from"], line.indexes["to"]]
    rest = [items.indexsets["year"], items.indexsets["slice"]]
    exists = (line > 0).expand_dims({rest[0].name: rest[0], rest[1].name: rest[1]})
    return model.add_variables(
        lower=0, upper=line, coords=[*over, *rest], name="flow",
        mask=exists.transpose("from", "to", rest[0].name, rest[1].name),
    )  # fmt: skip


def _net_imports(flow, node):
    arriving = flow.sum("from").rename(to=node.name)
    return arriving - flow.sum("to").rename({"from": node.name})


def _alive(items):
    years = items.indexsets["year"]
    vintage = xr.DataArray(years, coords=[pd.Index(years, name="vintage")])
    age = xr.DataArray(years, coords=[years]) - vintage
    return ((age >= 0) & (age < items.array("lifetime"))).astype(float)


def _weights(items):
    """Give the discount factor of each period."""
    years = items.indexsets["year"]
    rate = items.scalars["discount_rate"]
    return xr.DataArray(np.power(1 + rate, -(years - years[0]).to_numpy(float)), coords=[years])


def _used_part(items):
    """Give the part of an investment that falls into the periods of the model."""
    years = items.indexsets["year"]
    left = xr.DataArray(years[-1] + items.scalars["period_length"] - years, coords=[years])
    return np.minimum(1.0, left / items.array("lifetime"))
