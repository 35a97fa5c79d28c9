r"""Which recipe of the modern net is the better one on the lesson's table, and what boosting says.

    python benchmarks/adult/recipes.py MIRROR/adult_sample.tgz

The 6,512 rows that `--env=full` scores are left out from the start. Each seed holds a fifth of the
others back to judge by; of the rest 15 % validate (early stopping, and the choice of what is
served) and the others train.
"""

import argparse
import dataclasses
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
from quality import ALL, examples, read
from sklearn.metrics import roc_auc_score

from gradual.sources.splits import Split, validation_mask
from gradual.tabular.baselines import BaselinesConfig
from gradual.tabular.contest import ContestConfig, run_contest
from gradual.tabular.model import TabularModelConfig
from gradual.training.config import EarlyStopping, Phase

SHORT = TabularModelConfig(net="tabm")
LONG = dataclasses.replace(
    SHORT,
    training=dataclasses.replace(
        SHORT.training, phases=(Phase(60, 2e-3),), early_stopping=EarlyStopping(patience=12)
    ),
)
NETS = {"60 epochs at 2e-3": LONG, "16 epochs at 1e-2": SHORT}


def main() -> None:
    """Train, judge, print a line for each model and seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("archive", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    frame = read(arguments.archive)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    test = validation_mask(frame, Split(fraction=0.2, seed=42, stratify="salary"))
    rest = np.flatnonzero(~test)
    print(
        "| seed | model | AUC, validation rows | AUC, rows that judge |\n| --- | --- | --- | --- |"
    )
    for seed in range(arguments.seeds):
        held_out = validation_mask(frame.iloc[rest], Split("random", 0.2, 100 + seed, "salary"))
        judge, pool = rest[held_out], rest[~held_out]
        held_out = validation_mask(frame.iloc[pool], Split("random", 0.15, 200 + seed, "salary"))
        rows = examples(table, pool[~held_out], pool[held_out], ALL)
        config = ContestConfig(
            BaselinesConfig(models=("boosting", "boosting_on_embeddings")), (seed,)
        )
        runs = list(run_contest(rows, NETS, config, predicted=np.concatenate([rows.valid, judge])))
        n = len(rows.valid)
        for run in runs:
            found = [
                roc_auc_score(rows.truth(part), prediction[:, 1])
                for part, prediction in (
                    (rows.valid, run.prediction[:n]),
                    (judge, run.prediction[n:]),
                )
            ]
            print(f"| {seed} | {run.model} | {found[0]:.4f} | {found[1]:.4f} |", flush=True)


if __name__ == "__main__":
    main()
