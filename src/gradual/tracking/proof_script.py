"""Run by `gradual.tracking.proof` in a process of its own: a logged model answers rows.

It imports nothing of this package: what the model needs comes with it.
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")

import mlflow  # noqa: E402
import pandas as pd  # noqa: E402
from mlflow.artifacts import download_artifacts  # noqa: E402

uri, questions, answers, facts, folder = sys.argv[1:]
path = download_artifacts(uri, dst_path=folder)
model = mlflow.pyfunc.load_model(path)
model.predict(pd.read_parquet(questions)).to_parquet(answers)
with open(facts, "w", encoding="utf-8") as file:  # noqa: PTH123
    json.dump({"code": sys.modules["gradual"].__file__, "folder": path}, file)
