"""fastai's side of speed.py; run by it in an environment that has fastai 2.8.12."""

import json
import os
import sys
import time

import pandas as pd
import torch
from fastai.collab import CollabDataLoaders, collab_learner

path, epochs = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
frame = pd.read_csv(path)
names = {"user_name": "userId", "item_name": "movieId", "rating_name": "rating"}
loaders = CollabDataLoaders.from_df(frame, bs=64, seed=1, **names)
learner = collab_learner(loaders, n_factors=50, y_range=(0, 5.5))
result = []
with learner.no_bar(), learner.no_logging():
    for _ in range(epochs):
        start = time.perf_counter(), time.process_time()
        learner.fit_one_cycle(1, 5e-3)
        result.append([time.perf_counter() - start[0], time.process_time() - start[1]])
print(json.dumps({"rows": len(loaders.train_ds), "seconds": result}))
