r"""The lesson's table: the modern net, the lesson's net and what stands beside them.

    python benchmarks/adult/quality.py MIRROR/adult_sample.tgz benchmarks/adult/quality.md \
        --work /tmp/adult_quality

20 % of the 32,561 rows are held out, stratified, and scored once. Each of five seeds draws its own
20 % of validation rows out of the others (early stopping of the modern net and of boosting) and
its own weights. The settings were chosen on validation rows (`recipes.py`); the held-out rows are
those that `--env=full` scores.
"""

import argparse
import io
import json
import logging
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.results.scores import wilson
from gradual.results.table import Answers, score_models, value_of
from gradual.sources.splits import Split, validation_mask
from gradual.tabular.baselines import BaselinesConfig
from gradual.tabular.contest import ContestConfig, ModelRun, run_contest
from gradual.tabular.examples import Examples
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, fit
from gradual.tabular.targets import TargetConfig, fit_target

SEEDS = (0, 1, 2, 3, 4)
LESSON = ColumnsConfig(
    categorical=(
        "workclass",
        "education",
        "marital-status",
        "occupation",
        "relationship",
        "race",
    ),
    continuous=("age", "fnlwgt", "education-num"),
)
ALL = ColumnsConfig(
    categorical=(*LESSON.categorical, "sex", "native-country"),
    continuous=(*LESSON.continuous, "capital-gain", "capital-loss", "hours-per-week"),
)
TARGET = TargetConfig("binary", ("salary",), positive=">=50k")
NAMES = {
    "tabm": "modern net (`net: tabm`)",
    "mlp": "lesson's net (`net: mlp`), 14 columns",
    "mlp_lesson": "lesson's net, its own 9 columns",
    "boosting": "histogram gradient boosting",
    "boosting_on_embeddings": "boosting on the modern net's embeddings",
    "forest": "random forest",
    "linear": "logistic regression",
    "constant": "constant",
}


def read(archive: Path) -> pd.DataFrame:
    """The lesson's table."""
    with tarfile.open(archive) as tar:
        file = tar.extractfile("adult_sample/adult.csv")
        assert file is not None
        return pd.read_csv(io.BytesIO(file.read()))


def answers(folder: Path, seed: int, runs: Iterator[ModelRun]) -> list[Answers]:
    """The models' answers with one seed: trained now, or kept from an earlier start."""
    file = folder / f"seed{seed}.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        kept = []
        for run in runs:
            print(run.seed, run.model, f"{run.fit_seconds:.1f} s", flush=True)
            seconds = {"fit_seconds": run.fit_seconds, "predict_seconds": run.predict_seconds}
            kept.append([run.model, run.prediction.tolist(), run.seed, seconds])
        file.write_text(json.dumps(kept))
    return [
        Answers(model, np.array(found), seed, seconds)
        for model, found, seed, seconds in json.loads(file.read_text())
    ]


def contest(
    table: pa.Table, rest: np.ndarray, test: np.ndarray, frame: pd.DataFrame, seeds: tuple[int, ...]
) -> Iterator[ModelRun]:
    """All models with some seeds, on all columns; the lesson's net also on its own."""
    for seed in seeds:
        split = Split(fraction=0.2, seed=seed, stratify="salary")
        held_out = validation_mask(frame.iloc[rest], split)
        train, valid = rest[~held_out], rest[held_out]
        for columns, nets, baselines in (
            (LESSON, {"mlp_lesson": TabularModelConfig()}, ()),
            (
                ALL,
                {"mlp": TabularModelConfig(), "tabm": TabularModelConfig(net="tabm")},
                BaselinesConfig().models,
            ),
        ):
            yield from run_contest(
                examples(table, train, valid, columns),
                nets,
                ContestConfig(BaselinesConfig(models=baselines), (seed,)),
                predicted=test,
            )


def examples(
    table: pa.Table, train: np.ndarray, valid: np.ndarray, columns: ColumnsConfig
) -> Examples:
    """The rows to learn from."""
    preprocessor = fit(table.take(train), PreprocessingConfig(columns))
    return Examples(preprocessor.transform(table), table, train, valid, preprocessor, TARGET)


def lesson(table: pa.Table, runs: int) -> list[float]:
    """Accuracy in the lesson's own setting: rows 800 to 1000 validate, all others train."""
    rows = np.arange(table.num_rows)
    valid = (rows >= 800) & (rows < 1000)
    own = examples(table, rows[~valid], rows[valid], LESSON)
    config = ContestConfig(BaselinesConfig(models=()), tuple(range(runs)))
    found = list(run_contest(own, {"mlp": TabularModelConfig()}, config, predicted=rows[valid]))
    truth = own.truth(rows[valid])
    return [float((run.prediction.argmax(1) == truth).mean()) for run in found]


def main() -> None:
    """Train all, write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("archive", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="keeps what is done, by seed")
    parser.add_argument("--only", type=int, help="train with this seed, and write no results")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    frame = read(arguments.archive)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    rows = np.arange(len(frame))
    test = validation_mask(frame, Split(fraction=0.2, seed=42, stratify="salary"))
    runs: list[Answers] = []
    for seed in SEEDS if arguments.only is None else (arguments.only,):
        trained = contest(table, rows[~test], rows[test], frame, (seed,))
        runs += answers(arguments.work, seed, trained)
    if arguments.only is not None:
        return
    truth = fit_target(table, rows[~test], TARGET).encode(table, rows[test])
    scored = score_models(runs, truth, "binary", source="adult", by="roc_auc")
    lines = [
        f"{test.sum():,} held-out rows (stratified 20 %), {len(SEEDS)} seeds, mean over the seeds "
        "with the 95 % interval over rows and seeds.",
        "",
        "| | AUC | accuracy | log loss | fit, s | predict, s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for model in scored.order:
        own = {
            name: value_of(scored.frame, model, name)
            for name in ("roc_auc", "accuracy", "log_loss", "fit_seconds", "predict_seconds")
        }
        cells = [
            f"{own[m]['value']:.4f} [{own[m]['low']:.4f}, {own[m]['high']:.4f}]"
            for m in ("roc_auc", "accuracy", "log_loss")
        ]
        cells += [f"{own['fit_seconds']['value']:.1f}", f"{own['predict_seconds']['value']:.2f}"]
        lines.append(f"| {' | '.join([NAMES[model], *cells])} |")
    lines += ["", f"AUC of each seed: {_each(scored.frame, 'tabm')} (modern net),"]
    lines += [f"{_each(scored.frame, 'boosting')} (boosting).", ""]
    against = scored.verdict(ahead="tabm").against
    for second in ("boosting", "mlp", "mlp_lesson"):
        gap = against[second]
        lines.append(
            f"- AUC of the {NAMES['tabm']} minus that of the {NAMES[second]}, paired, all "
            f"differences at once: {gap['difference']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]"
        )
    accuracy = lesson(table, 10)
    low, high = wilson(200 * np.mean(accuracy), 200)
    lines += [
        "",
        "The lesson's own setting (9 columns, rows 800 to 1000 validate, 1 epoch at 1e-2), 10 "
        f"seeds: accuracy {min(accuracy):.3f} to {max(accuracy):.3f}, mean "
        f"{np.mean(accuracy):.3f}; 200 rows alone carry [{low:.3f}, {high:.3f}].",
    ]
    arguments.results.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _each(table: pd.DataFrame, model: str) -> str:
    rows = table[(table["model"] == model) & (table["metric"] == "roc_auc")]
    return ", ".join(f"{value:.4f}" for value in rows[rows["seed"].notna()]["value"])


if __name__ == "__main__":
    main()
