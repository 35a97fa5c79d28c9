"""A first retrain of texts and of ratings, on what their sources hold: no arrivals are named."""

from pathlib import Path

import pandas as pd
import pytest
from retraining_nights import Nights

from gradual.training.bundle import load_bundle

FILES = {
    "imdb": """
imdb.source: {type: gradual.io.SourceDataset, filepath: data/01_raw/few.csv}
imdb.unlabelled_source: {type: gradual.io.SourceDataset}
""",
    "movielens": """
movielens.source: {type: gradual.io.SourceDataset, filepath: data/01_raw/few.csv}
""",
}
PARAMETERS = {
    "imdb": "imdb_retrain: {retrain: {metric: accuracy}}",
    "movielens": "movielens_retrain: {cold_start: null, retrain: {policy: fresh}}",
}


@pytest.mark.parametrize(
    ("source", "sample", "baseline", "units"),
    [
        ("imdb", "imdb_sample/texts.csv", "constant", "rows"),
        ("movielens", "movie_lens_sample/ratings.csv", "mean", "users"),
    ],
)
def test_a_challenger_is_trained_judged_and_recorded(
    clone: Path, retrains: Nights, source: str, sample: str, baseline: str, units: str
) -> None:
    rows = pd.read_csv(clone / "data/01_raw" / sample).head(2400)
    rows = rows.sample(400, random_state=1) if source == "imdb" else rows
    rows.to_csv(clone / "data/01_raw/few.csv", index=False)
    folder = clone / f"conf/tiny/{source}"
    folder.mkdir()
    (folder / "catalog.yml").write_text(FILES[source])
    (folder / "parameters.yml").write_text(PARAMETERS[source])
    with retrains(clone, source) as night:
        first, again = night(), night()
    assert first.exit_code == 0
    judgement = first.record["judgement"]
    assert judgement["against"] == baseline
    counted = judgement["rows"]
    assert (counted["units"] == counted["judged"]) == (units == "rows")
    assert first.record["rows"]["training"] + first.record["rows"]["held_out"] == len(rows)
    promoted = judgement["decision"] == "promote"
    assert first.record["decision"] == ("promoted" if promoted else "kept")
    assert first.aliases == ({"champion": "1"} if promoted else {})
    assert again.record["decision"] == "nothing_new"
    splits = pd.concat(
        pd.read_parquet(path)
        for path in (clone / f"data/tiny/02_intermediate/{source}_retrain").glob("*_splits.parquet")
    )
    part = splits["classifier" if source == "imdb" else "part"]
    assert (part == "test").sum() == first.record["rows"]["held_out"]


@pytest.mark.slow
def test_a_challenger_starts_from_the_champion_where_that_is_asked_for(
    clone: Path, retrains: Nights
) -> None:
    rows = pd.read_csv(clone / "data/01_raw/movie_lens_sample/ratings.csv").head(5000)
    folder = clone / "conf/tiny/movielens"
    folder.mkdir()
    (folder / "catalog.yml").write_text(FILES["movielens"])
    (folder / "parameters.yml").write_text(
        "movielens_retrain: {cold_start: null, retrain: {policy: fresh, start: champion}, "
        "recommender: {model: {intercept: true}, training: {phases: [{epochs: 5, lr: 1.0e-2}]}}}"
    )
    stored = clone / "data/tiny/06_models/movielens_retrain/recommender.safetensors"
    with retrains(clone, "movielens") as night:
        rows.head(4000).to_csv(clone / "data/01_raw/few.csv", index=False)
        first = night()
        champion = load_bundle(stored)
        rows.to_csv(clone / "data/01_raw/few.csv", index=False)
        night()
    assert first.record["decision"] == "promoted"
    assert "start" not in champion.dependencies
    assert load_bundle(stored).dependencies["start"] == champion.hash
