"""Model plug-ins for tests of solve_scenario."""

from __future__ import annotations

import textwrap

HEAD = "import linopy\nimport numpy as np\nimport pandas as pd\nimport xarray as xr\n"


def model(body: str, tail: str = "") -> str:
    """Give a plug-in: `m` is its model, `i` and `j` are the index sets."""
    start = "    i, j = items.indexsets['i'], items.indexsets['j']\n    m = linopy.Model()\n"
    inside = textwrap.indent(textwrap.dedent(body).rstrip() + "\n", "    ")
    return f"{HEAD}def build(items):\n{start}{inside}    return m\n{textwrap.dedent(tail)}"


FLOWS = """
x = m.add_variables(lower=0, coords=[i, j], name='x')
m.add_constraints(x.sum('j') <= items.array('a'), name='supply')
"""
HARD = """
x = m.add_variables(binary=True, coords=[pd.RangeIndex(80, name='n')], name='x')
k, rng = pd.RangeIndex(60, name='k'), np.random.default_rng(1)
w = xr.DataArray(rng.integers(10, 100, (60, 80)).astype(float), coords=[k, x.indexes['n']])
m.add_constraints((x * w).sum('n') <= w.sum('n') / 2, name='weight')
gain = xr.DataArray(rng.integers(10, 100, 80).astype(float), coords=[x.indexes['n']])
m.add_objective((x * gain).sum(), sense='max')
"""
NOT_STORED = "RESULTS = {'x': None, 'weight': None}\n"
