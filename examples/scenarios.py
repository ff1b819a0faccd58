"""Numbers for the example workbook: two invented models, three scenarios, the world to 2100.

Nothing here is a result of a real model. The curves only behave like ones: people, income and
energy use grow and saturate, carriers replace each other, prices drive emissions down, and every
total is the sum of its parts.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

YEARS = tuple(range(2010, 2101, 10))
Series = list[float]
Table = dict[str, Series]
Shares = dict[str, float]


@dataclass(frozen=True)
class World:
    """One of the five world regions in 2010 and what becomes of it.

    Attributes
    ----------
    population : float
        Million people in 2010.
    growth : tuple of float
        Growth of the population in 2010 and in 2100, 1/yr.
    income : float
        GDP per head in 2010, thousand USD_2010/yr.
    catch_up : float
        Growth of that income in 2010, 1/yr; it slows down to 0.8 %/yr.
    energy : float
        Final energy in 2010, EJ/yr.
    fuels, power : dict of str to float
        Shares of carriers in final energy and of sources in electricity, 2010.
    land : float
        CO2 from land use in 2010, Mt/yr.
    """

    population: float
    growth: tuple[float, float]
    income: float
    catch_up: float
    energy: float
    fuels: dict[str, float]
    power: dict[str, float]
    land: float


@dataclass(frozen=True)
class Story:
    """What a scenario assumes: prices in USD_2010/t CO2, rates in 1/yr."""

    price_2030: float
    price_growth: float
    saving: float
    fuels: dict[str, float]
    power: dict[str, float]
    sequestration: float
    land: float


def _shares(names: str, *percent: float) -> dict[str, float]:
    return dict(zip(names.split(), (p / 100 for p in percent), strict=True))


FUELS = "Electricity Gases Heat Hydrogen Liquids Solids"
POWER = "Coal Gas Nuclear Hydro Biomass Solar Wind"
WORLD = {
    "OECD": World(
        1210,
        (0.006, -0.001),
        34.0,
        0.014,
        150,
        _shares(FUELS, 22, 20, 2, 0.02, 47, 9),
        _shares(POWER, 34, 25, 21, 13, 3.2, 0.3, 3.5),
        120,
    ),
    "REF": World(
        290,
        (0.001, -0.004),
        13.5,
        0.026,
        34,
        _shares(FUELS, 15, 32, 22, 0.02, 22, 9),
        _shares(POWER, 30, 36, 17, 16, 0.6, 0.1, 0.3),
        90,
    ),
    "ASIA": World(
        3640,
        (0.010, -0.006),
        6.2,
        0.050,
        130,
        _shares(FUELS, 17, 6, 4, 0.02, 30, 43),
        _shares(POWER, 67, 11, 3, 16, 1.3, 0.2, 1.5),
        1650,
    ),
    "LAM": World(
        590,
        (0.011, -0.005),
        11.4,
        0.023,
        22,
        _shares(FUELS, 17, 13, 0.5, 0.02, 47, 22),
        _shares(POWER, 4, 24, 2, 65, 4.0, 0.1, 0.9),
        1900,
    ),
    "MAF": World(
        1230,
        (0.024, 0.004),
        5.6,
        0.032,
        42,
        _shares(FUELS, 11, 15, 0.5, 0.02, 36, 37),
        _shares(POWER, 20, 64, 1, 14, 0.3, 0.2, 0.5),
        1500,
    ),
}
STORIES = {
    "Current Policies": Story(
        6, 0.015, 0.0110, _shares(FUELS, 0.9, 0.2, -0.4, 4.5, -0.1, -1.6),
        _shares(POWER, -1.6, -0.1, -0.6, -0.7, 0.6, 5.6, 3.2), 0.0, -0.009),
    "Below 2C": Story(
        45, 0.030, 0.0150, _shares(FUELS, 2.1, -0.8, -0.6, 8.0, -1.6, -3.6),
        _shares(POWER, -7.0, -2.4, -0.8, -1.6, 1.0, 6.0, 3.9), 0.20, -0.030),
    "Net Zero 2070": Story(
        110, 0.027, 0.0185, _shares(FUELS, 2.7, -2.0, -0.6, 9.5, -3.4, -6.0),
        _shares(POWER, -13, -5.5, -1.4, -2.4, 0.8, 6.4, 4.5), 0.36, -0.045),
}  # fmt: skip
MODELS = {"Aurora 2.1": 1.0, "Meridian 1.0": 1.06}  # how much energy the model sees
CAPACITY_FACTOR = _shares(POWER, 55, 42, 82, 43, 55, 17, 32)
EFFICIENCY = {"Coal": 0.39, "Gas": 0.52, "Biomass": 0.36}
CARBON = {"Coal": 92.0, "Oil": 66.0, "Gas": 55.0}  # Mt CO2 per EJ burnt
EJ_PER_GW = 0.031536  # a year of one GW


def _mix(start: Shares, before: Shares, after: Shares, year: int, wobble: float) -> Shares:
    """Let shares compete: each grows at its own rate (another one from 2020) to one in total."""
    early, late = min(year, 2020) - YEARS[0], max(year - 2020, 0) * wobble
    weight = {k: s * math.exp(before[k] * early + after[k] * late) for k, s in start.items()}
    total = sum(weight.values())
    return {k: w / total for k, w in weight.items()}


def _ramp(year: int, start: int = 2020, full: int = 2060) -> float:
    """Rise smoothly from 0 in `start` to 1 in `full`."""
    x = min(max((year - start) / (full - start), 0.0), 1.0)
    return x * x * (3 - 2 * x)


def price(story: Story, income: float, year: int) -> float:
    """Give the carbon price; poorer regions reach the common one by 2050."""
    if year < 2020:
        return 0.0
    common = story.price_2030 * math.exp(story.price_growth * (year - 2030))
    late = 1 - min(income / 30, 1) * 0.5 - 0.5
    return common * (0.15 if year == 2020 else 1) * (1 - late * (1 - _ramp(year, 2020, 2050)))


def region(model: str, scenario: str, name: str, random_: random.Random) -> Table:
    """Compute all variables of one of the five world regions.

    Returns
    -------
    dict of str to list of float
        One value per year of `YEARS` under each IAMC variable without its totals; intensive
        quantities (the price) included.
    """
    start, story = WORLD[name], STORIES[scenario]
    wobble = random_.uniform(0.93, 1.07)
    scale = MODELS[model] * random_.uniform(0.97, 1.03)
    table: Table = {}
    population, income = start.population, start.income
    for i, year in enumerate(YEARS):
        t, progress = year - YEARS[0], i / (len(YEARS) - 1)
        if i:
            growth = start.growth[0] + (start.growth[1] - start.growth[0]) * progress
            population *= math.exp(10 * growth)
            income *= math.exp(10 * (0.008 + (start.catch_up - 0.008) * (1 - progress) ** 1.6))
        saving = 0.0095 * min(t, 10) + story.saving * max(t - 10, 0)
        heads = population / start.population
        energy = start.energy * scale * heads * (income / start.income) ** 0.72 * math.exp(-saving)
        row = {"Population": population, "GDP|PPP": population * income,
               "Price|Carbon": price(story, income, year) * MODELS[model] ** 3}  # fmt: skip
        row |= _energy(start, story, energy, i, wobble)
        row |= _emissions(start, story, row, year)
        for variable, value in row.items():
            table.setdefault(variable, []).append(value)
    return table


def _energy(start: World, story: Story, energy: float, i: int, wobble: float) -> dict[str, float]:
    """Split final energy by carrier and sector; work back to electricity and primary energy."""
    year, today = YEARS[i], STORIES["Current Policies"]
    fuels = _mix(start.fuels, today.fuels, story.fuels, year, wobble)
    power = _mix(start.power, today.power, story.power, year, wobble)
    fuel = {k: v * energy for k, v in fuels.items()}
    biofuel = 0.03 + 0.02 * i + 0.2 * max(i - 1, 0) * story.sequestration
    from_gas = 0.4 / (1 + 0.75 * max(i - 1, 0) * story.sequestration)  # of hydrogen
    generation = fuel["Electricity"] / 0.91 + (1 - from_gas) * fuel["Hydrogen"] / 0.7
    made = {k: v * generation for k, v in power.items()}
    row = {f"Final Energy|{k}": v for k, v in fuel.items()}
    industry, transport = 0.36 - 0.004 * i, 0.27 + 0.003 * i
    row["Final Energy|Industry"] = energy * industry
    row["Final Energy|Transportation"] = energy * transport
    row["Final Energy|Residential and Commercial"] = energy * (1 - industry - transport)
    row |= {f"Secondary Energy|Electricity|{k}": v for k, v in made.items()}
    for k, v in made.items():
        row[f"Capacity|Electricity|{k}"] = v / EJ_PER_GW / CAPACITY_FACTOR[k]
    burnt = {k: made[k] / EFFICIENCY[k] for k in EFFICIENCY}
    modern = 0.25 + 0.05 * i  # of solids: wood and waste rather than coal
    row["Primary Energy|Coal"] = burnt["Coal"] + fuel["Solids"] * (1 - modern) + 0.4 * fuel["Heat"]
    row["Primary Energy|Gas"] = burnt["Gas"] + 1.06 * fuel["Gases"] + 0.7 * fuel["Heat"]
    row["Primary Energy|Gas"] += from_gas * fuel["Hydrogen"] / 0.7
    row["Primary Energy|Oil"] = 1.12 * fuel["Liquids"] * (1 - min(biofuel, 0.75))
    bio = burnt["Biomass"] + modern * fuel["Solids"]
    row["Primary Energy|Biomass"] = bio + 1.6 * fuel["Liquids"] * min(biofuel, 0.75)
    for k in ("Nuclear", "Hydro", "Solar", "Wind"):
        row[f"Primary Energy|{k}"] = made[k]
    return row


def _emissions(start: World, story: Story, row: dict[str, float], year: int) -> dict[str, float]:
    """Burn what primary energy says, store what the scenario stores, add land and other gases."""
    burnt = sum(row[f"Primary Energy|{k}"] * c for k, c in CARBON.items())
    energy = row["Primary Energy|Coal"] + row["Primary Energy|Gas"]
    energy += 1.5 * row["Primary Energy|Biomass"]
    stored = story.sequestration * _ramp(year, 2025, 2075) * 75 * energy
    industry = 0.055 * burnt * (1 - 0.8 * min(row["Price|Carbon"] / 500, 1))
    today = STORIES["Current Policies"].land * (min(year, 2020) - YEARS[0])
    kept = math.exp(today + story.land * max(year - 2020, 0))
    sink = 500 * story.sequestration * _ramp(year, 2020, 2080) * start.land / 500
    cut = 1 - 0.55 * min(row["Price|Carbon"] / 350, 1)
    land_energy = row["Final Energy|Industry"] + row["Final Energy|Transportation"]
    return {
        "Carbon Sequestration|CCS": stored,
        "Emissions|CO2|Energy and Industrial Processes": burnt + industry - stored,
        "Emissions|CO2|AFOLU": start.land * kept - sink,
        "Emissions|CH4": (0.028 * row["Population"] + 0.00095 * burnt * 4) * cut,
        "Emissions|N2O": (1.05 * row["Population"] + 6 * land_energy) * (0.4 + 0.6 * cut),
    }
