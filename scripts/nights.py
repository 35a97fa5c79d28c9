"""A week of nights on generated data: does each retrain decide as it should?

    python scripts/nights.py                  # tables, texts and ratings
    python scripts/nights.py --kinds tables --keep /tmp/nights

A copy of this project gets three sources whose rows are drawn here, and a partition a night. Each
night is `kedro run --pipeline=X_retrain --env=tiny`, as a schedule would start it; one is killed
with SIGKILL in the middle of its training, and started again. After every night the alias
`champion` has to point to a version that loads and that a record says was promoted. The table that
is printed has a line a night; the exit status is 1 if one of them went another way.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
PROJECT = Path(__file__).resolve().parents[1]
COPIED = ("conf", "src", "pyproject.toml", ".telemetry", "data/01_raw")
Rows = Callable[[int, int, bool], pd.DataFrame]


def people(n: int, seed: int, drifted: bool = False) -> pd.DataFrame:
    """Draw a table: who buys, by age, income and town, not in a straight line."""
    random = np.random.default_rng(seed)
    age, income = random.uniform(18, 80, n), random.lognormal(10, 0.4, n)
    shares = [0.7, 0.1, 0.1, 0.1] if drifted else None
    town = random.choice(["north", "south", "east", "west"], n, p=shares)
    score = np.cos(age / 9) * 2 + (town == "north") * (income > 22_000) * 2 - 0.5
    buys = random.random(n) < 1 / (1 + np.exp(-2 * score))
    shift = 1.6 if drifted else 1.0
    return pd.DataFrame(
        {"age": age.round(1), "income": (income * shift).round(), "town": town,
         "buys": np.where(buys, "yes", "no")}
    )  # fmt: skip


def notes(n: int, seed: int, drifted: bool = False) -> pd.DataFrame:
    """Draw texts: which team a note is for, told by few of their many words."""
    random = np.random.default_rng(seed)
    teams = np.array(["billing", "network"])
    telling = {team: [f"{team[:3]}{i}" for i in range(120)] for team in teams}
    common = [f"word{i}" for i in range(200)] + [f"fresh{i}" for i in range(60 * drifted)]
    chosen, texts = random.choice(teams, n), []
    for team in chosen:
        other = teams[1 - list(teams).index(team)]
        words = [*random.choice(common, 6), *random.choice(telling[team], 2)]
        words += [*random.choice(telling[other], 1)] * int(random.random() < 0.3)
        if drifted:
            words += [*random.choice(common[200:], 3)]
        texts.append(" ".join(random.permutation(words)) + ".")
    return pd.DataFrame({"message": texts, "team": chosen})


def plays(n: int, seed: int, drifted: bool = False) -> pd.DataFrame:
    """Draw ratings: songs that are better or worse, listeners who are kinder or harsher."""
    world, random = np.random.default_rng(0), np.random.default_rng(seed)
    users, songs = 150, 60
    taste, kind = world.normal(0, 0.9, songs), world.normal(0, 0.5, users)
    pairs = random.choice(users * songs, n, replace=False)
    user, song = pairs // songs, pairs % songs
    stars = np.clip(np.rint(3 + taste[song] + kind[user] + random.normal(0, 0.5, n)), 1, 5)
    listener = [f"u{u + 1000 * drifted}" for u in user]
    return pd.DataFrame({"listener": listener, "song": [f"s{s}" for s in song], "stars": stars})


@dataclass(frozen=True)
class Kind:
    """A source of one kind.

    Attributes:
        name: Of the source.
        rows: Draws a partition: how many rows, seed, whether they have drifted.
        sizes: Rows of the first night, of a usual one, and of one that makes a better model or has
            drifted; ten times the first and the contract would stop it.
        target: Column that a broken partition says nonsense in.
        training: Node in the middle of which a night is killed.
        worse: `--params` under which a challenger learns next to nothing.
        parameters: Content of parameters.yml.
    """

    name: str
    rows: Rows
    sizes: tuple[int, int, int]
    target: str
    training: str
    worse: str
    parameters: str


KINDS = {
    "tables": Kind(
        "people", people, (300, 400, 2_500), "buys", "train_net",
        "people_retrain.serving.model=constant",
        """
people:
  preprocessing: {columns: {categorical: [town], continuous: [age, income]}}
  target: {kind: binary, columns: [buys], positive: "yes"}
  comparison: {baselines: {models: [constant, linear, boosting]}}
""",
    ),
    "texts": Kind(
        "notes", notes, (900, 300, 5_000), "team", "train_classifier",
        "notes_retrain.classifier.serve=net",
        """
notes:
  documents: {text_columns: [message], label_column: team}
""",
    ),
    "ratings": Kind(
        "plays", plays, (4_500, 600, 7_000), "stars", "train_recommender",
        "plays_retrain.recommender.training.weight_decay=1000",
        """
plays:
  ratings: {user: listener, item: song, rating: stars, time: null}
  cold_start: null
""",
    ),
}  # fmt: skip


@dataclass
class Project:
    """A copy of the project with one more source, and what its nights have shown."""

    folder: Path
    kind: Kind
    lines: list[dict[str, Any]] = field(default_factory=list)

    def add_source(self, kind_name: str) -> None:
        """Write the source's line and its two files."""
        name = self.kind.name
        with (self.folder / "conf/base/sources.yml").open("a") as sources:
            sources.write(f"{name}: {kind_name}\n")
        conf = self.folder / f"conf/base/{name}"
        conf.mkdir()
        (conf / "parameters.yml").write_text(self.kind.parameters)
        (conf / "catalog.yml").write_text(
            f"{name}.arrivals: {{type: gradual.io.ArrivalsDataset, filepath: {self.arrivals}}}\n"
        )
        (self.folder / self.arrivals).mkdir(parents=True)

    @property
    def arrivals(self) -> str:
        """The folder in which partitions arrive."""
        return f"data/01_raw/{self.kind.name}/arrivals"

    def arrive(self, night: int, rows: pd.DataFrame) -> None:
        """Let a partition arrive, whole."""
        path = self.folder / self.arrivals / f"2026-11-{night:02}.csv"
        rows.to_csv(path.with_suffix(".part"), index=False)
        path.with_suffix(".part").rename(path)

    def retrain(self, params: str = "", kill_in: str = "") -> int:
        """Run a night; with `kill_in`, until that node has begun.

        Returns:
            The exit status; -9 of a night that was killed.
        """
        command = [sys.executable, "-m", "kedro", "run", f"--pipeline={self.kind.name}_retrain"]
        command += ["--env=tiny", *([f"--params={params}"] if params else [])]
        environ = os.environ | {"PYTHONPATH": str(self.folder / "src"), "NO_COLOR": "1"}
        environ.pop("MLFLOW_TRACKING_URI", None)
        with (
            (self.folder / f"{self.kind.name}.log").open("a") as log,
            subprocess.Popen(
                command, cwd=self.folder, env=environ, text=True, start_new_session=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            ) as process,
        ):  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                if kill_in and f"Running node: {kill_in}" in line:
                    os.killpg(process.pid, signal.SIGKILL)
        return process.returncode

    def night(self, name: str, expected: str, **options: Any) -> None:
        """Run a night, and compare what became of it with what should have."""
        started = time.monotonic()
        code = self.retrain(**options)
        found = self.look()
        record: dict[str, Any] = (
            found["record"] if code != -signal.SIGKILL else {"decision": "killed"}
        )
        drifted = record.get("drift", {}).get("drifted")
        decision = str(record["decision"]) + (", drifted" if drifted else "")
        line = {
            "source": self.kind.name,
            "night": name,
            "expected": expected,
            "decision": decision,
            "exit": code,
            "champion": found["champion"] or "none",
            "seconds": round(time.monotonic() - started),
            "as expected": decision in expected.split(" or ") and found["sound"],
        }
        self.lines.append(line)
        print("  ".join(f"{key}: {value}" for key, value in line.items()), flush=True)
        if not line["as expected"]:
            print(f"    {record.get('message')}", flush=True)

    def look(self) -> dict[str, Any]:
        """Look at the last record and the champion, as someone outside would."""
        import mlflow

        from gradual.retraining.history import History
        from gradual.training.bundle import load_bundle

        mlflow.set_tracking_uri(f"sqlite:///{self.folder}/mlflow.db")
        history = History(self.folder / f"data/tiny/08_reporting/{self.kind.name}_retrain/history")
        records = history.records()
        client = mlflow.MlflowClient()
        models = client.search_registered_models(f"name = '{self.kind.name}'")
        sound, aliases = True, dict(models[0].aliases) if models else {}
        champion = str(aliases["champion"]) if "champion" in aliases else None
        if champion is not None:
            promoted = [r["promotion"]["version"] for r in records if r["decision"] == "promoted"]
            sound = champion == promoted[-1]
            with tempfile.TemporaryDirectory() as place:
                uri = f"models:/{self.kind.name}@champion"
                files = Path(mlflow.artifacts.download_artifacts(uri, dst_path=place))
                load_bundle(next(files.glob("artifacts/*.safetensors")))
        return {"record": records[-1] if records else {}, "champion": champion, "sound": sound}


def week(project: Project) -> None:
    """Run the nights of a week."""
    kind = project.kind
    first, usual, many = kind.sizes
    project.arrive(1, kind.rows(first, 1, False))
    project.night("1 first", "promoted")
    project.night("2 nothing new", "nothing_new")
    project.arrive(3, kind.rows(usual, 3, False).assign(**{kind.target: "???"}))
    project.night("3 broken contract", "broken_contract")
    project.arrive(3, kind.rows(usual, 3, False))
    project.night("4 the same, corrected", "promoted or kept")
    project.arrive(5, kind.rows(many, 5, False))
    project.night("5 many more rows: better", "promoted")
    project.arrive(6, kind.rows(usual, 6, False))
    project.night("6 set to learn nothing: worse", "kept", params=kind.worse)
    project.arrive(7, kind.rows(usual, 7, False))
    project.night("7 killed while training", "killed", kill_in=kind.training)
    project.night("7 started again", "promoted or kept")
    project.arrive(8, kind.rows(many, 8, True))
    project.night("8 drifted", "promoted, drifted or kept, drifted")


def main() -> None:
    """Run the nights of each kind, and print what became of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--keep", type=Path, help="a folder to leave the projects in")
    options = parser.parse_args()
    place = options.keep or Path(tempfile.mkdtemp(prefix="nights_"))
    lines: list[dict[str, Any]] = []
    for name in options.kinds:
        folder = place / name
        folder.mkdir(parents=True)
        for each in COPIED:
            (folder / each).parent.mkdir(parents=True, exist_ok=True)
            if (PROJECT / each).is_dir():
                shutil.copytree(PROJECT / each, folder / each)
            else:
                shutil.copy2(PROJECT / each, folder / each)
        project = Project(folder, KINDS[name])
        project.add_source(name)
        week(project)
        lines += project.lines
    print(pd.DataFrame(lines).to_string(index=False))
    if options.keep is None:
        shutil.rmtree(place)
    sys.exit(0 if all(line["as expected"] for line in lines) else 1)


if __name__ == "__main__":
    main()
