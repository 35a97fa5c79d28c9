"""The price of a new source: a line and two small files, no Python; and of its folds."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pandas as pd

from gradual.results.table import value_of

Kedro = Callable[..., CompletedProcess[str]]
AddSource = Callable[[Path, str, dict[str, str]], None]

SOURCE = "{name}.source: {{type: gradual.io.SourceDataset, filepath: data/01_raw/{name}.csv}}\n"
SOURCES = {
    "notes: texts": """
notes:
  documents:
    text_columns: [message]
    label_column: team
    test: {method: random, fraction: 0.2, seed: 42}
""",
    "people: {kind: tables, folds: 2}": """
people:
  preprocessing: {columns: {categorical: [city], continuous: [age]}}
  target: {kind: binary, columns: [rich], positive: "yes"}
  rows: {test: {method: folds, seed: 42}}
""",
    "plays: ratings": """
plays:
  ratings: {user: listener, item: song, rating: stars, time: null}
""",
}


def frames() -> dict[str, pd.DataFrame]:
    random = np.random.default_rng(1)
    n = 240
    teams = np.array(["billing", "network"])[np.arange(n) % 2]
    age, user = random.integers(20, 70, n), np.repeat(np.arange(24), 10)
    return {
        "notes": pd.DataFrame(
            {"message": [f"About {team}, case {i}, please." for i, team in enumerate(teams)],
             "team": teams}
        ),
        "people": pd.DataFrame(
            {"city": random.choice(["a", "b", "c"], n), "age": age,
             "rich": np.where(age + random.normal(0, 5, n) > 45, "yes", "no")}
        ),
        "plays": pd.DataFrame(
            {"listener": user, "song": (user * 3 + np.tile(np.arange(10), 24) * 7) % 40,
             "stars": random.integers(1, 6, n)}
        ),
    }  # fmt: skip


def test_a_source_of_each_kind_is_configuration_alone(
    clone: Path, kedro: Kedro, add_source: AddSource
) -> None:
    data = frames()
    for line, parameters in SOURCES.items():
        name = line.partition(":")[0]
        folder = f"conf/base/{name}"
        catalog = SOURCE.format(name=name)
        files = {f"{folder}/catalog.yml": catalog, f"{folder}/parameters.yml": parameters}
        add_source(clone, line, files)
        data[name].to_csv(clone / f"data/01_raw/{name}.csv", index=False)
    result = kedro(clone, "run", "--pipelines=notes,people_folds,plays", "--env=tiny")
    assert result.returncode == 0, result.stdout
    reporting = clone / "data/tiny/08_reporting"
    for name in ("notes", "plays", "people_fold_1", "people_fold_2", "people_folds"):
        assert (reporting / name / "report.html").is_file()
        assert len(pd.read_parquet(reporting / name / "scores.parquet"))

    splits = [
        pd.read_parquet(clone / f"data/tiny/02_intermediate/people_fold_{i}/row_splits.parquet")
        for i in (1, 2)
    ]
    held_out = [set(np.flatnonzero(split["part"] == "test")) for split in splits]
    assert not held_out[0] & held_out[1]
    assert len(held_out[0] | held_out[1]) == 240
    folds = pd.read_parquet(reporting / "people_folds/scores.parquet")
    own = folds[(folds["model"] == "constant") & (folds["metric"] == "accuracy")]
    own = own[(own["part"] == "test") & (own["slice"] == "") & own["seed"].notna()]
    assert len(own) == 2
    assert value_of(folds, "constant", "accuracy")["value"] == own["value"].mean()
