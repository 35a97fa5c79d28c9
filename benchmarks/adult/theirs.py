"""fastai's side of speed.py: one line of JSON for each line it reads; `rows`, `seconds`."""

import json
import sys
import time

import pandas as pd
import torch
from fastai.tabular.all import (
    Categorify,
    FillMissing,
    Normalize,
    TabularDataLoaders,
    tabular_learner,
)

torch.set_num_threads(int(sys.argv[2]))
frame = pd.read_csv(sys.argv[1], skipinitialspace=True)
loaders = TabularDataLoaders.from_df(
    frame,
    path=".",
    y_names="salary",
    cat_names=["workclass", "education", "marital-status", "occupation", "relationship", "race"],
    cont_names=["age", "fnlwgt", "education-num"],
    procs=[Categorify, FillMissing, Normalize],
    valid_idx=list(range(800, 1000)),
    bs=64,
)
learner = tabular_learner(loaders)
for _ in sys.stdin:
    with learner.no_bar(), learner.no_logging():
        started = time.perf_counter(), time.process_time()
        learner.fit_one_cycle(1, 1e-2)
        ended = time.perf_counter(), time.process_time()
    wall, cpu = (end - start for start, end in zip(started, ended, strict=True))
    print(json.dumps({"rows": 64 * len(loaders.train), "wall": wall, "cpu": cpu}), flush=True)
