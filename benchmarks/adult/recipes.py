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
from gradual.tabular.contest import ContestConfig, refit, run_contest
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.serving import model_from_bundle
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
        config = ContestConfig(BaselinesConfig(models=("boosting",)), (seed,))
        runs = list(run_contest(rows, NETS, config, predicted=np.concatenate([rows.valid, judge])))
        n = len(rows.valid)
        for run in runs:
            validated = roc_auc_score(rows.truth(rows.valid), run.prediction[:n, 1])
            judged = [roc_auc_score(rows.truth(judge), run.prediction[n:, 1])]
            if run.model in config.baselines.models:
                net = next(one.bundle for one in runs if one.model == list(NETS)[-1])
                again = model_from_bundle(refit(rows, table, run, net, SHORT, config))
                encoded = again.preprocessor.transform(table.take(judge))
                judged.append(
                    roc_auc_score(rows.truth(judge), again.predict_encoded(encoded)[:, 1])
                )
            cells = [f"{value:.4f}" for value in (validated, *judged)] + ["", ""]
            print(f"| {seed} | {run.model} | {' | '.join(cells[:3])} |", flush=True)


if __name__ == "__main__":
    main()
