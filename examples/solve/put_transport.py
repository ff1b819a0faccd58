"""Put Dantzig's transport problem into an ixmp4 platform, as its tutorial has it.

    python put_transport.py platform.db
    python put_transport.py postgresql+psycopg://user@host/database

The data: G. B. Dantzig, *Linear Programming and Extensions*, Princeton University Press, 1963,
chapter 3-3. Needs ixmp4.
"""

import sys
from pathlib import Path

MODEL, SCENARIO = "transport problem", "standard"
CAPACITY = {"seattle": 350, "san-diego": 600}  # cases
DEMAND = {"new-york": 325, "chicago": 300, "topeka": 275}  # cases
DISTANCE = {  # 1000 miles
    ("seattle", "new-york"): 2.5, ("seattle", "chicago"): 1.7, ("seattle", "topeka"): 1.8,
    ("san-diego", "new-york"): 2.5, ("san-diego", "chicago"): 1.8, ("san-diego", "topeka"): 1.4,
}  # fmt: skip
FREIGHT = 90  # USD per case and 1000 miles


def open_platform(address):
    """Open a platform by its address; a file name is an SQLite one, made if missing."""
    import ixmp4
    from ixmp4.db import get_alembic_controller
    from ixmp4.transport import DirectTransport

    if "://" not in address:
        address = f"sqlite:///{Path(address).resolve()}"
        get_alembic_controller(address).upgrade_database("head")
    return ixmp4.Platform(DirectTransport.from_dsn(address))


def add_parameter(run, name, indexsets, values, unit):
    """Add a parameter: values by element, or by a tuple of elements."""
    parameter = run.optimization.parameters.create(name, constrained_to_indexsets=indexsets)
    keys = [key if isinstance(key, tuple) else (key,) for key in values]
    columns = dict(zip(indexsets, map(list, zip(*keys, strict=True)), strict=True))
    parameter.add_data(
        {**columns, "values": [float(v) for v in values.values()], "units": [unit] * len(values)}
    )


def put(platform, demand=DEMAND, scenario=SCENARIO):
    """Create a version of the scenario, the default one, and give it."""
    known = {unit.name for unit in platform.units.list()}
    for unit in ("cases", "km", "USD/km"):
        if unit not in known:
            platform.units.create(unit)
    run = platform.runs.create(MODEL, scenario)
    with run.transact("Dantzig's transport problem"):
        items = run.optimization
        items.indexsets.create("i").add_data(list(CAPACITY))
        items.indexsets.create("j").add_data(list(DEMAND))
        add_parameter(run, "a", ["i"], CAPACITY, "cases")
        add_parameter(run, "b", ["j"], demand, "cases")
        add_parameter(run, "d", ["i", "j"], DISTANCE, "km")
        items.scalars.create("f", FREIGHT, "USD/km")
        items.variables.create("z")
        items.variables.create("x", constrained_to_indexsets=["i", "j"])
        items.equations.create("supply", constrained_to_indexsets=["i"])
        items.equations.create("demand", constrained_to_indexsets=["j"])
        run.set_as_default()
    return run


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(put(open_platform(sys.argv[1])))
