"""Generate the embedded table of people and their pay: 4,000 rows in the lesson's schema.

The 15 columns, their names and the manner of their values are those of the lesson's
``adult_sample``: texts begin with a blank, " ?" stands for "not told", numbers of education and
occupations have gaps. The people are made up: nothing but the schema comes from the real table.

The last 800 rows are meant as test rows. Only there: two countries that no earlier row has, and
gaps in hours-per-week, which have none before. That is what new data is like. `new_people.csv`
holds 200 more people of that kind without their pay, for predictions.

Pay is decided by a known rule: a logistic function of age (rising, then falling), education,
occupation, married life, hours (which pay off more in some occupations than in others) and gains
from capital. The rule's own probabilities are the best that any model can reach on these rows;
`--score` prints how well they do.

The same seed gives the same bytes: only ``random.Random.random`` is used, whose sequence Python
guarantees.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import random
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

ROWS, TEST_ROWS, NEW_ROWS = 4000, 800, 200

EDUCATION = {  # level: its number, how frequent, what it adds to the log-odds
    "Preschool": (1, 1, -2.5),
    "1st-4th": (2, 4, -2.0),
    "5th-6th": (3, 7, -1.7),
    "7th-8th": (4, 14, -1.4),
    "9th": (5, 12, -1.2),
    "10th": (6, 22, -1.1),
    "11th": (7, 30, -1.0),
    "12th": (8, 12, -0.7),
    "HS-grad": (9, 300, -0.4),
    "Some-college": (10, 210, 0.0),
    "Assoc-voc": (11, 45, 0.3),
    "Assoc-acdm": (12, 40, 0.3),
    "Bachelors": (13, 170, 1.0),
    "Masters": (14, 65, 1.5),
    "Prof-school": (15, 20, 2.0),
    "Doctorate": (16, 16, 2.2),
}
OCCUPATION = {  # how frequent, lowest and highest education number, log-odds, what an hour adds
    "Prof-specialty": (120, 11, 16, 0.7, 0.03),
    "Exec-managerial": (115, 9, 16, 1.0, 0.06),
    "Craft-repair": (120, 4, 12, 0.1, 0.02),
    "Adm-clerical": (110, 9, 13, -0.3, 0.01),
    "Sales": (100, 8, 14, 0.2, 0.06),
    "Other-service": (100, 3, 11, -1.3, 0.0),
    "Machine-op-inspct": (60, 3, 10, -0.4, 0.01),
    "Transport-moving": (50, 4, 11, -0.2, 0.03),
    "Handlers-cleaners": (45, 2, 10, -1.0, 0.0),
    "Farming-fishing": (35, 1, 11, -1.2, -0.01),
    "Tech-support": (28, 10, 14, 0.6, 0.02),
    "Protective-serv": (20, 8, 13, 0.5, 0.02),
    "Priv-house-serv": (5, 1, 10, -2.0, 0.0),
    "Armed-Forces": (1, 9, 14, 0.0, 0.0),
    "?": (60, 1, 16, -1.0, 0.0),
}
WORKCLASS = {  # how frequent, log-odds
    "Private": (690, 0.0),
    "Self-emp-not-inc": (80, -0.4),
    "Local-gov": (65, 0.0),
    "State-gov": (40, -0.1),
    "Self-emp-inc": (35, 0.6),
    "Federal-gov": (30, 0.5),
    "Without-pay": (1, -4.0),
    "Never-worked": (1, -4.0),
}
COUNTRY = {
    "United-States": 900, "Mexico": 20, "?": 18, "Philippines": 6, "Germany": 5, "Canada": 4,
    "Puerto-Rico": 4, "India": 4, "Cuba": 3, "England": 3, "Jamaica": 3, "China": 3, "Italy": 2,
    "Poland": 2, "Japan": 2, "Vietnam": 2, "Guatemala": 2, "Haiti": 1, "Iran": 1, "Greece": 1,
    "Peru": 1, "France": 1, "Ireland": 1, "Hungary": 1, "Scotland": 1,
}  # fmt: skip
ONLY_IN_TEST = ("Iceland", "New-Zealand")
RACE = {
    "White": 850, "Black": 95, "Asian-Pac-Islander": 35, "Amer-Indian-Eskimo": 11, "Other": 9,
}  # fmt: skip
COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
    "native-country", "salary",
)  # fmt: skip


class Chance:
    """Draws from one seeded stream of uniform numbers."""

    def __init__(self, seed: int) -> None:
        self.uniform = random.Random(seed).random

    def choose(self, weights: Mapping[str, float]) -> str:
        """Draw a key with a chance in proportion to its weight."""
        place = self.uniform() * sum(weights.values())
        for key, bound in zip(weights, accumulate(weights.values()), strict=True):
            if place < bound:
                return key
        return list(weights)[-1]

    def normal(self, mean: float, deviation: float) -> float:
        """Draw from a bell curve: twelve uniform numbers added up."""
        return mean + deviation * (sum(self.uniform() for _ in range(12)) - 6)


def make_person(chance: Chance, *, test: bool) -> tuple[dict[str, object], float]:
    """Make up one person.

    Returns:
        The row, and the probability that the rule gives to ">=50k".
    """
    age = min(90, max(17, round(17 + 73 * (chance.uniform() * chance.uniform()) ** 0.9)))
    education = chance.choose({name: entry[1] for name, entry in EDUCATION.items()})
    number, _, gain_education = EDUCATION[education]
    if age < 21 and number > 10:
        education, number, gain_education = "Some-college", 10, 0.0
    occupation = chance.choose(
        {
            name: weight * (1 if low <= number <= high else 0.06)
            for name, (weight, low, high, _, _) in OCCUPATION.items()
        }
    )
    *_, gain_occupation, gain_hour = OCCUPATION[occupation]
    workclass = (
        "?" if occupation == "?" else chance.choose({k: w for k, (w, _) in WORKCLASS.items()})
    )
    sex = "Male" if chance.uniform() < 0.66 else "Female"
    marital, relationship = _family(chance, age, sex)
    hours = 40.0
    if chance.uniform() > 0.5:
        hours = chance.normal(42 if age > 22 else 28, 11)
    hours = min(99, max(1, round(hours)))
    capital_gain = capital_loss = 0
    if chance.uniform() < 0.08:
        capital_gain = round(math.exp(chance.normal(8.6, 0.9)))
    elif chance.uniform() < 0.05:
        capital_loss = round(chance.normal(1850, 300))
    log_odds = (
        -2.35
        - ((age - 48) / 17) ** 2
        + gain_education
        + gain_occupation
        + (WORKCLASS[workclass][1] if workclass != "?" else 0.0)
        + gain_hour * (hours - 40)
        + (2.2 if marital.startswith("Married-civ") else 0.0)
        + (2.5 if capital_gain > 6000 else 0.0)
        + (0.8 if capital_loss > 1800 else 0.0)
    )
    probability = 1 / (1 + math.exp(-1.25 * log_odds))
    country = chance.choose(COUNTRY)
    if test and chance.uniform() < 0.03:
        country = ONLY_IN_TEST[int(chance.uniform() * len(ONLY_IN_TEST))]
    row: dict[str, object] = {
        "age": age,
        "workclass": f" {workclass}",
        "fnlwgt": max(12_000, round(math.exp(chance.normal(12.05, 0.5)))),
        "education": f" {education}",
        "education-num": "" if chance.uniform() < 0.02 else f"{number}.0",
        "marital-status": f" {marital}",
        "occupation": "" if chance.uniform() < 0.02 else f" {occupation}",
        "relationship": f" {relationship}",
        "race": f" {chance.choose(RACE)}",
        "sex": f" {sex}",
        "capital-gain": capital_gain,
        "capital-loss": capital_loss,
        "hours-per-week": "" if test and chance.uniform() < 0.02 else hours,
        "native-country": f" {country}",
        "salary": ">=50k" if chance.uniform() < probability else "<50k",
    }
    return row, probability


def _family(chance: Chance, age: int, sex: str) -> tuple[str, str]:
    """Marital status and relationship, which go together and with the age."""
    if chance.uniform() < (0.1 if age < 24 else 0.58):
        spouse = "Husband" if sex == "Male" else "Wife"
        return ("Married-AF-spouse" if chance.uniform() < 0.003 else "Married-civ-spouse"), spouse
    single = {
        "Never-married": 500 * max(0.15, (62 - age) / 30),
        "Divorced": 4.0 * age,
        "Separated": 32,
        "Widowed": max(1.0, 3.0 * (age - 35)),
        "Married-spouse-absent": 14,
    }
    marital = chance.choose(single)
    child = 300 if marital == "Never-married" and age < 30 else 25
    others = {"Not-in-family": 270, "Unmarried": 110, "Other-relative": 30, "Own-child": child}
    return marital, chance.choose(others)


def make_sample(seed: int) -> tuple[dict[str, str], list[float]]:
    """Make the tables.

    Returns:
        Content by file name, and the rule's probability of ">=50k" for each row of `adult.csv`.
    """
    chance = Chance(seed)
    people = [make_person(chance, test=i >= ROWS - TEST_ROWS) for i in range(ROWS)]
    new = [make_person(chance, test=True)[0] for _ in range(NEW_ROWS)]
    files = {
        "adult.csv": _csv([row for row, _ in people], COLUMNS),
        "new_people.csv": _csv(new, COLUMNS[:-1]),
    }
    return files, [probability for _, probability in people]


def _csv(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def main() -> None:
    """Write the two files into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("data/01_raw/adult_sample"))
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--score", action="store_true", help="print what the rule itself scores")
    options = parser.parse_args()
    files, probabilities = make_sample(options.seed)
    options.output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (options.output / name).write_bytes(content.encode())
    if options.score:
        from sklearn.metrics import accuracy_score, roc_auc_score

        rich = [row["salary"] == ">=50k" for row in csv.DictReader(io.StringIO(files["adult.csv"]))]
        test_truth, test_rule = rich[-TEST_ROWS:], probabilities[-TEST_ROWS:]
        print(f"share of >=50k {sum(rich) / ROWS:.3f}")
        for name, truth, rule in (
            ("all", rich, probabilities),
            ("test", test_truth, test_rule),
        ):
            accuracy = accuracy_score(truth, [p > 0.5 for p in rule])
            print(f"{name}: accuracy {accuracy:.3f}, AUC {roc_auc_score(truth, rule):.3f}")


if __name__ == "__main__":
    main()
