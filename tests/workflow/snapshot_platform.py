"""Run in the environment of ixmp4: fill a platform with data of all types, and read it back.

python snapshot_platform.py fill DSN
python snapshot_platform.py tabulate DSN FILE default|all
"""

from __future__ import annotations

import itertools
import sys

import ixmp4
import pandas as pd
from ixmp4.transport import DirectTransport

REGIONS = ("World", "Asia (R5)", "=R5|OECD & Co", 'Région "Ö", 1')
SERIES = (
    ("Primary Energy", "EJ/yr"),
    ("Primary Energy|Coal", "EJ/yr"),
    ("Price", "USD"),
    ("Share", ""),
)
RUNS = (
    ("m b", "s1"),
    ("m a", "s1"),
    ("m a", "s2"),
    ("m a", "s1"),
    ("m/a?", "s 3"),
    ("m_a_", "s 3"),
)


def rows(number: int) -> pd.DataFrame:
    found = [
        (region, *series, year, (number + 1) / 3 + year / 7 + len(region) * 1e-9)
        for region, series in itertools.product(REGIONS, SERIES)
        for year in (2020, 2030, 2050 + number)
        if (region, year) != ("World", 2030)
    ]
    return pd.DataFrame(found, columns=["region", "variable", "unit", "year", "value"])


def fill(platform: ixmp4.Platform) -> None:
    for region in REGIONS:
        platform.regions.create(region, "common")
    for unit in ("EJ/yr", "USD", "", "unused"):
        platform.units.create(unit)
    for number, pair in enumerate(RUNS):
        run = platform.runs.create(*pair)
        with run.transact("filling"):
            data = rows(number)
            run.iamc.add(data, type="ANNUAL")
            if number in (1, 2):
                prices = data[data.variable == "Price"]
                for part in ("Winter", "Summer"):
                    run.iamc.add(prices.assign(subannual=part, value=1e-7), type="CATEGORICAL")
            if number in (2, 4):
                shares = data[data.variable == "Share"].drop(columns="year")
                for time in ("2020-01-01 00:00", "2020-06-01 12:30:15.25"):
                    once = shares.drop_duplicates("region")
                    times = once.assign(datetime=pd.Timestamp(time), value=0.1 + 0.2)
                    run.iamc.add(times, type="DATETIME")
            run.meta = {"Category": f"=C{number}", "n": number, "x": number / 3, "ok": number > 2}
            if pair != ("m b", "s1"):
                run.set_as_default()


def tabulate(platform: ixmp4.Platform, file: str, versions: str) -> None:
    table = platform.iamc.tabulate(run={"default_only": versions == "default"})
    if "time" in table:  # years and times in one column of objects
        timed = table["time"].map(lambda value: isinstance(value, pd.Timestamp))
        table["year"] = table["time"].where(~timed).astype("Float64").astype("Int64")
        table["time"] = pd.to_datetime(table["time"].where(timed)).astype("datetime64[us]")
    table.to_parquet(file)


if __name__ == "__main__":
    target = ixmp4.Platform(DirectTransport.from_dsn(sys.argv[2]))
    fill(target) if sys.argv[1] == "fill" else tabulate(target, sys.argv[3], sys.argv[4])
