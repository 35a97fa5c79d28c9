"""fastai's side of speed.py; run by it in an environment that has fastai 2.8.12."""

import itertools
import json
import os
import sys
import time

import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.collab import CollabDataLoaders, collab_learner


class Clock(Callback):
    """Notes when each epoch ends, its validation included."""

    def before_fit(self) -> None:
        """Begin a list."""
        self.marks = []

    def after_epoch(self) -> None:
        """Note wall and processor time."""
        self.marks.append((time.perf_counter(), time.process_time()))


path, epochs = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
frame = pd.read_csv(path)
names = {"user_name": "userId", "item_name": "movieId", "rating_name": "rating"}
loaders = CollabDataLoaders.from_df(frame, bs=64, seed=1, **names)
clock = Clock()
learner = collab_learner(loaders, n_factors=50, y_range=(0, 5.5), cbs=clock)
with learner.no_bar(), learner.no_logging():
    learner.fit_one_cycle(epochs + 1, 5e-3)
spans = [[b[0] - a[0], b[1] - a[1]] for a, b in itertools.pairwise(clock.marks)]
print(json.dumps({"rows": len(loaders.train_ds), "seconds": spans}))
