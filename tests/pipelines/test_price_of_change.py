"""What a change costs: made in a copy of the project, counted in files, and seen in a run.

The table in docs/architecture.md quotes these numbers.
"""

import filecmp
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = {
    "conf/base/pets/catalog.yml": """\
pets.source:
  type: gradual.io.SourceDataset
  filepath: data/01_raw/pets/pets.csv
""",
    "conf/base/pets/parameters.yml": """\
pets:
  preprocessing:
    columns: {categorical: [kind], continuous: [age, weight]}
  target: {kind: binary, columns: [adopted], positive: "yes"}
  comparison:
    baselines: {models: [constant, extra_trees]}
""",
}
METRIC = '''

def _brier(truth: np.ndarray, found: np.ndarray) -> Score:
    """Brier 1950."""
    return of_means(np.square(found[:, 1] - (truth == 1)))


register(Metric("brier", "Brier score", ("binary",), _brier, better="lower", scale="positive"))
'''
FIGURE = """

def _ages(found: Findings) -> go.Figure:
    return kit.finish(go.Figure(go.Box(x=found.predictions["row"])), "Where they stand", "rows")


FIGURES["ages"] = _ages
"""


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, (file, old)
    file.write_text(text.replace(old, new))


def changed(project: Path, workspace: Path, folder: str) -> list[str]:
    """Files of a folder that differ from the project's, or that it lacks."""
    return [
        str(file.relative_to(workspace))
        for file in sorted((workspace / folder).rglob("*.*"))
        if "__pycache__" not in file.parts
        and file.is_file()
        and not (
            (project / file.relative_to(workspace)).exists()
            and filecmp.cmp(file, project / file.relative_to(workspace), shallow=False)
        )
    ]


def test_a_source_a_metric_a_figure_and_a_baseline(project, clone, kedro, add_source):
    rng = np.random.default_rng(0)
    age, kind = rng.uniform(0, 15, 300).round(1), rng.choice(["cat", "dog"], 300)
    adopted = np.where(age + 4 * (kind == "dog") + rng.normal(0, 2, 300) < 9, "yes", "no")
    pets = pd.DataFrame({"age": age, "kind": kind, "weight": rng.uniform(2, 30, 300).round(1)})
    (clone / "data/01_raw/pets").mkdir(parents=True)
    pets.assign(adopted=adopted).to_csv(clone / "data/01_raw/pets/pets.csv", index=False)

    add_source(clone, "pets: tables", SOURCE)
    assert changed(project, clone, "src") == []
    assert sum(len(content.splitlines()) for content in SOURCE.values()) <= 10

    package = clone / "src/gradual"
    metrics, figures = package / "results/metrics.py", package / "tabular/figures.py"
    metrics.write_text(metrics.read_text() + METRIC)
    assert changed(project, clone, "src") == ["src/gradual/results/metrics.py"]

    figures.write_text(figures.read_text() + FIGURE)
    edit(
        package / "tabular/report.py", '"calibration", "spread"', '"calibration", "spread", "ages"'
    )
    assert len(changed(project, clone, "src")) == 1 + 2

    baselines = package / "tabular/baselines.py"
    edit(
        baselines,
        '    "boosting": BaselineKind(',
        '    "extra_trees": BaselineKind("Extra trees", "forest", ("trees",)),\n'
        '    "boosting": BaselineKind(',
    )
    edit(
        baselines,
        '    if name == "forest":',
        '    if name == "extra_trees":\n'
        "        from sklearn.ensemble import ExtraTreesClassifier\n\n"
        "        return ExtraTreesClassifier(config.trees, random_state=seed)\n"
        '    if name == "forest":',
    )
    assert len(changed(project, clone, "src")) == 1 + 2 + 1

    result = kedro(clone, "run", "--pipeline=pets", "--env=tiny")
    assert result.returncode == 0, result.stdout
    reporting = clone / "data/tiny/08_reporting/pets"
    scores = pd.read_parquet(reporting / "scores.parquet")
    assert {"net", "constant", "extra_trees"} == set(scores["model"])
    assert "brier" in set(scores["metric"])
    page = (reporting / "report.html").read_text()
    for text in ("Brier score", "Where they stand", "Extra trees"):
        assert text in page
    assert (reporting / "figures/ages.json").exists()
