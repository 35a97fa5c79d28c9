"""Generate the embedded table of daily sales of nine shops, from January 2022 to August 2023.

One row a shop and day that it was open (`date, store, store_type, promotion, school_holiday,
competition_km, temperature, sales`). No shop and no figure is real.

Sales are a product, so that their logarithm is what a model should learn: the shop's size, the
day of the week, the time of year, a promotion (which works better in city shops and hardly at
all on Saturdays), holidays (a third fewer on the day, a third more the day before), school
holidays, a slow trend, and chance of about 10 %. Gaps in `competition_km` mean that no competitor
is known. The shop "harbour" opens in July 2023, when the others' history is long.

The same seed gives the same bytes: only ``random.Random.random`` is used, whose sequence Python
guarantees.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import random
from datetime import date, timedelta
from pathlib import Path

FIRST, LAST = date(2022, 1, 3), date(2023, 8, 31)
STORES = {  # its type, size, kilometres to the next competitor, first day
    "old town": ("city", 9000, 0.3, FIRST),
    "station": ("city", 11500, 0.2, FIRST),
    "market square": ("city", 7000, 0.8, FIRST),
    "north park": ("suburb", 5200, 2.5, FIRST),
    "mill road": ("suburb", 4300, None, FIRST),
    "airport": ("suburb", 6100, 6.0, FIRST),
    "lake view": ("country", 2600, 14.0, FIRST),
    "old forge": ("country", 1900, None, FIRST),
    "harbour": ("city", 6400, 1.2, date(2023, 7, 10)),
}
WEEKDAYS = (1.05, 0.92, 0.9, 0.95, 1.15, 1.3)  # Monday to Saturday; closed on Sundays
HOLIDAYS = ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26))
SCHOOL_HOLIDAYS = (((7, 20), (8, 31)), ((10, 15), (10, 29)), ((12, 22), (12, 31)))
COLUMNS = (
    "date", "store", "store_type", "promotion", "school_holiday", "competition_km", "temperature",
    "sales",
)  # fmt: skip


def make_sample(seed: int) -> str:
    """Make the table.

    Returns:
        The CSV file's content, ordered by date and shop.
    """
    uniform = random.Random(seed).random

    def normal() -> float:
        return sum(uniform() for _ in range(12)) - 6

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for ordinal in range(FIRST.toordinal(), LAST.toordinal() + 1):
        day = date.fromordinal(ordinal)
        year_angle = 2 * math.pi * day.timetuple().tm_yday / 365.25
        temperature = 10 - 9 * math.cos(year_angle - 0.35) + 3 * normal()
        if day.weekday() == 6:
            continue
        school = any(low <= (day.month, day.day) <= high for low, high in SCHOOL_HOLIDAYS)
        tomorrow = day + timedelta(days=1)
        # Promotions run from Monday to Saturday of every third week, in all shops but a few.
        week = ordinal // 7 % 3 == 0
        for store, (kind, size, competition, opening) in STORES.items():
            promotion = week and uniform() < 0.9
            chance = math.exp(0.1 * normal())
            if day < opening:
                continue
            sales = size * WEEKDAYS[day.weekday()] * chance
            sales *= 1 + 0.12 * math.sin(year_angle - 1.9) + 0.35 * (day.month == 12)
            sales *= 1.0002 ** (ordinal - FIRST.toordinal())
            if promotion:
                gain = {"city": 0.45, "suburb": 0.25, "country": 0.15}[kind]
                sales *= 1 + gain * (0.2 if day.weekday() == 5 else 1)
            if (day.month, day.day) in HOLIDAYS:
                sales *= 0.65
            elif (tomorrow.month, tomorrow.day) in HOLIDAYS:
                sales *= 1.35
            if school:
                sales *= {"city": 0.92, "suburb": 1.0, "country": 1.2}[kind]
            if kind == "country":
                sales *= 1 + 0.006 * (temperature - 10)
            writer.writerow(
                [
                    day.isoformat(),
                    store,
                    kind,
                    int(promotion),
                    int(school),
                    "" if competition is None else competition,
                    "" if uniform() < 0.01 else f"{temperature:.1f}",
                    f"{sales:.2f}",
                ]
            )
    return buffer.getvalue()


def main() -> None:
    """Write `sales.csv` into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("data/01_raw/shop_sales_sample"))
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "sales.csv").write_bytes(make_sample(options.seed).encode())


if __name__ == "__main__":
    main()
