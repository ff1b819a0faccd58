"""Put a capacity expansion scenario into an ixmp4 platform: 3 regions, 6 technologies, 7 periods.

    python put_capacity_expansion.py platform.db

The numbers are invented. Needs ixmp4.
"""

import math
import sys

from put_transport import add_parameter, open_platform

MODEL, SCENARIO = "capacity expansion", "cap on emissions"
NODES = ["north", "middle", "south"]
YEARS = [2020, 2025, 2030, 2035, 2040, 2045, 2050]
SLICES = [f"{season}-{hour:02d}" for season in ("winter", "summer") for hour in range(0, 24, 1)]
#             investment, fixed, variable cost, lifetime, emissions, may be built, exists in 2020
TECHNOLOGIES = {
    "coal": (1600, 40, 30, 40, 0.90, 1, 30),
    "gas": (800, 20, 55, 30, 0.37, 1, 25),
    "nuclear": (5000, 100, 10, 50, 0.0, 1, 10),
    "wind": (1300, 35, 0, 25, 0.0, 1, 5),
    "solar": (700, 15, 0, 25, 0.0, 1, 2),
    "hydro": (3000, 50, 2, 80, 0.0, 0, 12),
}  # USD/kW, USD/kW/a, USD/MWh, a, t/MWh, -, GW
LINES = {("north", "middle"): 8.0, ("middle", "south"): 8.0}  # GW in both directions
GROWTH = {"north": 1.010, "middle": 1.014, "south": 1.020}  # per year
PEAK = {"north": 30.0, "middle": 45.0, "south": 35.0}  # GW in 2020
DISCOUNT = 0.05
LAST_CAP, FIRST_CAP = 20.0, 420.0  # Mt/a


def availability(technology, node, name):
    """Give which part of its capacity a technology can use in a time slice."""
    season, hour = name.split("-")
    if technology == "solar":
        light = max(0.0, math.sin(math.pi * (int(hour) - 6) / 12))
        return round(
            light * (0.75 if season == "summer" else 0.35)
            + (0.05 if node == "south" else 0) * light,
            4,
        )
    if technology == "wind":
        base = {"north": 0.42, "middle": 0.30, "south": 0.22}[node]
        swing = 0.1 * math.cos(2 * math.pi * int(hour) / 24 + len(node))
        return round(base * (1.15 if season == "winter" else 0.85) + swing, 4)
    return {"coal": 0.85, "gas": 0.92, "nuclear": 0.88, "hydro": 0.45}[technology]


def load(node, year, name):
    """Give the load of a time slice in GW."""
    season, hour = name.split("-")
    daily = 0.75 + 0.25 * math.sin(math.pi * (int(hour) - 7) / 14) if 7 <= int(hour) <= 21 else 0.70
    seasonal = {"winter": 1.0, "summer": 0.9 if node != "south" else 1.05}[season]
    return round(PEAK[node] * GROWTH[node] ** (year - YEARS[0]) * daily * seasonal, 4)


def put(platform, scenario=SCENARIO, last_cap=LAST_CAP):
    """Create a version of the scenario, the default one, and give it."""
    known = {unit.name for unit in platform.units.list()}
    units = ("USD/kW", "USD/kW/a", "USD/MWh", "a", "t/MWh", "GW", "h", "Mt/a", "1")
    for unit in set(units) - known:
        platform.units.create(unit)
    run = platform.runs.create(MODEL, scenario)
    with run.transact("capacity expansion"):
        _fill(run, last_cap)
        run.set_as_default()
    return run


def _fill(run, last_cap):
    items = run.optimization
    sets = {"node": NODES, "technology": list(TECHNOLOGIES), "year": YEARS, "slice": SLICES}
    for name, elements in sets.items():
        items.indexsets.create(name).add_data(elements)
    items.scalars.create("discount_rate", DISCOUNT, "1")
    items.scalars.create("period_length", 5.0, "a")
    kinds = (
        "investment",
        "fixed_cost",
        "variable_cost",
        "lifetime",
        "emission_factor",
        "buildable",
    )
    for place, (name, unit) in enumerate(zip(kinds, (*units_of(), "1"), strict=True)):
        values = {technology: row[place] for technology, row in TECHNOLOGIES.items()}
        add_parameter(run, name, ["technology"], values, unit)
    existing = {
        (n, t, y): row[6] * max(0.0, 1 - (y - YEARS[0]) / min(row[3], 40)) * PEAK[n] / 45
        for n in NODES for t, row in TECHNOLOGIES.items() for y in YEARS
    }  # fmt: skip
    add_parameter(run, "existing", ["node", "technology", "year"], existing, "GW")
    part = {
        (n, t, s): availability(t, n, s) for n in NODES for t in TECHNOLOGIES for s in SLICES
    }  # fmt: skip
    add_parameter(run, "availability", ["node", "technology", "slice"], part, "1")
    demand = {(n, y, s): load(n, y, s) for n in NODES for y in YEARS for s in SLICES}
    add_parameter(run, "load", ["node", "year", "slice"], demand, "GW")
    hours = {s: 8760 / len(SLICES) for s in SLICES}
    add_parameter(run, "hours", ["slice"], hours, "h")
    steps = len(YEARS) - 1
    caps = {y: FIRST_CAP + (last_cap - FIRST_CAP) * k / steps for k, y in enumerate(YEARS)}
    add_parameter(run, "emission_cap", ["year"], caps, "Mt/a")
    lines = items.parameters.create(
        "line", constrained_to_indexsets=["node", "node"], column_names=["from", "to"]
    )
    both = {**LINES, **{(b, a): value for (a, b), value in LINES.items()}}
    lines.add_data(
        {
            "from": [a for a, _ in both],
            "to": [b for _, b in both],
            "values": list(both.values()),
            "units": ["GW"] * len(both),
        }
    )


def units_of():
    """Give the units of the parameters by technology, in their order."""
    return ("USD/kW", "USD/kW/a", "USD/MWh", "a", "t/MWh")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(put(open_platform(sys.argv[1])))
