"""Nights in a row on a table: each is what `kedro run --pipeline=adult_retrain` does."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest
from retraining_nights import Night, Nights

Kedro = Callable[..., CompletedProcess[str]]

ARRIVALS = """
adult.arrivals: {type: gradual.io.ArrivalsDataset, filepath: data/01_raw/adult/arrivals}
"""
PARAMETERS = """
adult_retrain:
  net: {training: {phases: [{epochs: 1, lr: 5.0e-3}]}}
  comparison: {baselines: {models: [constant, linear]}}
  interpretation:
    {importance_rows: 10, repeats: 1, dependence_rows: 5, dependence_columns: 1, points: 2}
"""


@pytest.fixture(scope="module")
def nights(project_clone: Path, retrains: Nights) -> dict[str, Night]:
    """What each night has left, by what it brought."""
    rows = pd.read_csv(project_clone / "data/01_raw/adult_sample/adult.csv")
    folder = project_clone / "data/01_raw/adult/arrivals"
    folder.mkdir(parents=True)
    (project_clone / "conf/tiny/adult_retrain").mkdir()
    (project_clone / "conf/tiny/adult_retrain/parameters.yml").write_text(PARAMETERS)
    with (project_clone / "conf/base/adult/catalog.yml").open("a") as catalog:
        catalog.write(ARRIVALS)
    found = {}
    with retrains(project_clone, "adult") as night:
        rows[:2000].to_csv(folder / "2026-11-01.csv", index=False)
        found["first"] = night()
        found["nothing"] = night()
        rows[2000:3500].to_csv(folder / "2026-11-03.csv", index=False)
        found["more"] = night()
        rows[3500:].assign(salary="a lot").to_csv(folder / "2026-11-04.csv", index=False)
        found["broken"] = night()
        found["without"] = night()
        rows[3500:].to_csv(folder / "2026-11-04.csv", index=False)
        found["corrected"] = night()
    return found


def test_the_first_challenger_beats_a_baseline_and_is_proved(nights: dict[str, Night]) -> None:
    first = nights["first"]
    assert (first.exit_code, first.record["decision"]) == (0, "promoted")
    assert first.aliases == {"champion": "1"}
    judgement = first.record["judgement"]
    assert judgement["first"]
    assert judgement["against"] == "constant"
    rows = first.record["rows"]
    assert rows["training"] + rows["held_out"] == rows["taken_in"] == 2000
    assert 300 < rows["held_out"] < 500
    assert judgement["rows"]["judged"] == rows["held_out"]
    assert first.record["proof"]["proved"]
    status, tags = first.runs[0]
    assert status == "FINISHED"
    assert tags["retrain.decision"] == "promoted"
    assert tags["retrain.message"] == first.record["message"]


def test_with_nothing_new_nothing_is_trained(nights: dict[str, Night]) -> None:
    nothing = nights["nothing"]
    assert nothing.exit_code == 0
    assert nothing.message.startswith("Nothing new since 20")
    assert nothing.record["decision"] == "nothing_new"
    assert "judgement" not in nothing.record
    assert nothing.versions == nights["first"].versions
    status, tags = nothing.runs[0]
    assert (status, tags["retrain.decision"]) == ("FINISHED", "nothing_new")
    assert "error" not in tags


def test_a_new_partition_makes_a_challenger_that_is_judged_beside_the_champion(
    nights: dict[str, Night],
) -> None:
    more = nights["more"]
    assert more.exit_code == 0
    assert more.record["arrived"]["taken_in"] == ["2026-11-03.csv"]
    assert more.record["judgement"]["champion"] == "1"
    assert more.record["judgement"]["against"] == "champion"
    assert more.record["rows"]["training"] + more.record["rows"]["held_out"] == 3500
    assert more.record["drift"]["new_rows"] == (
        more.record["rows"]["training"] - nights["first"].record["rows"]["training"]
    )
    assert not more.record["drift"]["drifted"]
    better = more.record["judgement"]["decision"] == "promote"
    assert more.record["decision"] == ("promoted" if better else "kept")
    assert more.aliases == ({"champion": "2", "previous": "1"} if better else {"champion": "1"})


def test_a_broken_contract_stops_before_training_and_leaves_the_champion(
    nights: dict[str, Night], project_clone: Path
) -> None:
    broken = nights["broken"]
    assert broken.exit_code == 3
    assert "2026-11-04.csv" in broken.message
    assert "a lot" in broken.message
    assert broken.record["exit_code"] == 3
    assert broken.record["checked"]["refused"].keys() == {"2026-11-04.csv"}
    assert "judgement" not in broken.record
    assert broken.aliases == nights["more"].aliases
    assert broken.versions == nights["more"].versions
    assert broken.runs[0][0] == "FINISHED"
    quarantine = project_clone / "data/tiny/02_intermediate/adult_retrain/broken_rows.parquet"
    assert quarantine.is_file()
    without = nights["without"]
    assert (without.exit_code, without.record["decision"]) == (0, "nothing_new")


def test_a_corrected_partition_is_taken_in(nights: dict[str, Night], project_clone: Path) -> None:
    corrected = nights["corrected"]
    assert corrected.exit_code == 0
    assert corrected.record["arrived"]["corrected"] == ["2026-11-04.csv"]
    assert corrected.record["rows"]["training"] + corrected.record["rows"]["held_out"] == 4000
    assert len(corrected.records) == 6
    folder = project_clone / "data/tiny/08_reporting/adult_retrain"
    page = (folder / "history_report.html").read_text()
    for words in ("stopped: broken contract", "nothing new", "Champion and challenger", "Drift"):
        assert words in page
    page = (folder / "judgement_report.html").read_text()
    assert "Proof in a fresh process" in page
    assert corrected.record["judgement"]["rule"] in page


def test_history_and_rollback_are_commands(
    nights: dict[str, Night], project_clone: Path, kedro: Kedro
) -> None:
    shown = kedro(project_clone, "gradual", "history", "adult", "--last=2", "--env=tiny")
    assert shown.returncode == 0, shown.stdout
    assert "nothing new" in shown.stdout
    assert "broken contract" not in shown.stdout
    assert nights["corrected"].record["message"] in shown.stdout
    answer = kedro(project_clone, "gradual", "history", "adlt", "--env=tiny").stdout
    assert "Did you mean `adult`?" in answer
    back = kedro(project_clone, "gradual", "rollback", "adult", "--env=tiny")
    previous = nights["corrected"].aliases.get("previous")
    if previous is None:
        assert back.returncode == 1
        assert "no version before its champion" in back.stdout
    else:
        assert f"Version {previous} of adult is the champion again" in back.stdout
