"""Write the two example workbooks beside this file: the same cells on every machine.

`example-workbook.xlsx` is what a modelling team submits; `workbook-with-mistakes.xlsx` is the same
with one mistake of each common kind. Needs `xlsxwriter`; run it as
``python examples/make_workbook.py``.
"""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from typing import Any

import scenarios
import xlsxwriter

HERE = Path(__file__).resolve().parent
SEED = 2026
IAMC = ("Model", "Scenario", "Region", "Variable", "Unit")
# How each model cuts the five world regions into its own: name, world region, share of 2010.
NATIVE = {
    "Aurora 2.1": (
        ("Industrialised", "OECD", 1.0),
        ("Eurasia", "REF", 1.0),
        ("Asia", "ASIA", 1.0),
        ("Latin America", "LAM", 1.0),
        ("Middle East and Africa", "MAF", 1.0),
    ),
    "Meridian 1.0": (
        ("Europe", "OECD", 0.46),
        ("North America and Pacific", "OECD", 0.54),
        ("Former Soviet Union", "REF", 1.0),
        ("Asia", "ASIA", 1.0),
        ("Latin America", "LAM", 1.0),
        ("Middle East", "MAF", 0.4),
        ("Africa", "MAF", 0.6),
    ),
}
# Totals and the parts that they are the sum of.
TOTALS = {
    "Final Energy": [
        "Final Energy|Industry",
        "Final Energy|Residential and Commercial",
        "Final Energy|Transportation",
    ],
    "Secondary Energy|Electricity": [
        f"Secondary Energy|Electricity|{k}" for k in scenarios.POWER.split()
    ],
    "Primary Energy|Fossil": [f"Primary Energy|{k}" for k in ("Coal", "Gas", "Oil")],
    "Primary Energy": [
        f"Primary Energy|{k}" for k in ("Fossil", "Nuclear", "Biomass", "Hydro", "Solar", "Wind")
    ],
    "Emissions|CO2": ["Emissions|CO2|AFOLU", "Emissions|CO2|Energy and Industrial Processes"],
}
UNITS = {
    "Capacity": "GW",
    "Carbon Sequestration": "Mt CO2/yr",
    "Emissions|CH4": "Mt CH4/yr",
    "Emissions|CO2": "Mt CO2/yr",
    "Emissions|Kyoto Gases": "Mt CO2-equiv/yr",
    "Emissions|N2O": "kt N2O/yr",
    "Final Energy": "EJ/yr",
    "GDP": "billion USD_2010/yr",
    "Population": "million",
    "Price": "USD_2010/t CO2",
    "Primary Energy": "EJ/yr",
    "Secondary Energy": "EJ/yr",
    "Temperature": "°C",
}
CATEGORIES = {
    1.65: "C2: return to 1.5°C",
    2.0: "C3: below 2°C",
    3.0: "C6: below 3°C",
    4.0: "C7: below 4°C",
}
Row = tuple[str, str, str, str, str, list[Any]]


def unit(variable: str) -> str:
    """Give the unit of `variable`, found by the start of its name."""
    return next(u for start, u in UNITS.items() if variable.startswith(start))


def digits(variable: str) -> int:
    """Give the number of decimals that the workbook keeps."""
    return 2 if variable.startswith(("Emissions", "GDP", "Capacity", "Carbon", "Price")) else 4


def native(model: str, scenario: str) -> dict[str, scenarios.Table]:
    """Compute every variable of `scenario` by native region, totals included."""
    tables: dict[str, scenarios.Table] = {}
    for name, world, share in NATIVE[model]:
        # the seed leaves the scenario out: all scenarios of a model start from the same year 2010
        numbers = random.Random(f"{SEED} {model} {world}")
        parent = scenarios.region(model, scenario, world, numbers)
        table = {}
        for variable, series in parent.items():
            part = 1.0 if variable.startswith("Price") else share
            table[variable] = [round(value * part, digits(variable)) for value in series]
        for total, parts in TOTALS.items():
            columns = zip(*(table[part] for part in parts), strict=True)
            table[total] = [round(sum(column), digits(total)) for column in columns]
        gases = zip(*(table[f"Emissions|{gas}"] for gas in ("CO2", "CH4", "N2O")), strict=True)
        table["Emissions|Kyoto Gases"] = [
            round(co2 + 28 * ch4 + 0.265 * n2o, 2) for co2, ch4, n2o in gases
        ]
        tables[name] = dict(sorted(table.items()))
    return tables


def warming(tables: dict[str, scenarios.Table]) -> list[float]:
    """Give the global mean temperature rise: 0.48 °C per 1000 Gt CO2, and a little methane."""
    rise, previous, series = 0.98, 0.0, []
    for i in range(len(scenarios.YEARS)):
        co2 = sum(table["Emissions|CO2"][i] for table in tables.values())
        ch4 = sum(table["Emissions|CH4"][i] for table in tables.values())
        if i:
            rise += 10 * (co2 + previous) / 2 * 0.48e-6
        previous = co2
        series.append(round(rise + (ch4 - 320) * 0.0012, 3))
    return series


def contents() -> tuple[list[Row], list[list[Any]]]:
    """Compute the rows of the data sheet and of the meta sheet."""
    rows: list[Row] = []
    meta: list[list[Any]] = []
    for model in scenarios.MODELS:
        for ssp, scenario in zip((2, 1, 1), scenarios.STORIES, strict=True):
            tables = native(model, scenario)
            for name, table in tables.items():
                rows += [(model, scenario, name, v, unit(v), s) for v, s in table.items()]
            rise = warming(tables)
            variable = "Temperature|Global Mean"
            rows.append((model, scenario, "World", variable, unit(variable), rise))
            category = next(c for top, c in CATEGORIES.items() if max(rise) < top)
            reviewed = scenario != "Net Zero 2070"
            meta.append([model, scenario, category, max(rise), ssp, reviewed, False])
    return rows, meta


def spoil(rows: list[Row]) -> list[Row]:
    """Make one mistake of each common kind."""
    rows = [(*row[:5], list(row[5])) for row in rows]

    def find(region: str, variable: str) -> int:
        return next(i for i, row in enumerate(rows) if row[2:4] == (region, variable))

    i = find("Eurasia", "Population")  # no such region
    rows[i] = (*rows[i][:2], "Euraisa", *rows[i][3:])
    i = find("Asia", "Primary Energy|Coal")  # misspelt
    rows[i] = (*rows[i][:3], "Primary Enregy|Coal", *rows[i][4:])
    i = find("Asia", "Final Energy|Liquids")  # not the unit of the definition
    rows[i] = (*rows[i][:4], "Mtoe/yr", rows[i][5])
    rows[find("Latin America", "Price|Carbon")][5][4] = "tbd"  # text among numbers
    rows[find("Latin America", "GDP|PPP")][5][7] = "5,200"
    i = find("Industrialised", "Final Energy|Heat")  # the same row twice
    rows.insert(i + 60, (*rows[i][:5], list(rows[i][5])))
    return rows


def write(path: Path, rows: list[Row], meta: list[list[Any]]) -> None:
    """Write one workbook. The creation date is fixed, so that equal cells give equal files."""
    with xlsxwriter.Workbook(path) as book:
        book.set_properties({"created": dt.datetime(2026, 1, 1), "title": "Example scenarios"})
        head = book.add_format({"bold": True, "bottom": 1})
        data = book.add_worksheet("data")
        data.write_row(0, 0, [*IAMC, *scenarios.YEARS], head)
        for i, row in enumerate(rows, start=1):
            data.write_row(i, 0, [*row[:5], *row[5]])
        data.freeze_panes(1, 5)
        data.autofilter(0, 0, len(rows), 4)
        data.set_column(0, 1, 17)
        data.set_column(2, 3, 40)
        data.set_column(4, 4, 19)
        sheet = book.add_worksheet("meta")
        indicators = ("Category", "Peak Warming", "SSP", "Reviewed", "exclude")
        sheet.write_row(0, 0, ["Model", "Scenario", *indicators], head)
        for i, line in enumerate(meta, start=1):
            sheet.write_row(i, 0, line)
        sheet.set_column(0, 2, 18)


def main(folder: Path = HERE) -> None:
    """Write both workbooks to `folder`."""
    rows, meta = contents()
    write(folder / "example-workbook.xlsx", rows, meta)
    write(folder / "workbook-with-mistakes.xlsx", spoil(rows), meta)


if __name__ == "__main__":
    main()
