"""The net on tables that learns the rows of a recommender's items from their properties."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.collab.cold_start import ColdStartConfig
from gradual.collab.metadata import RowLearner
from gradual.tabular.examples import Examples, as_table
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TabularModel
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, fit
from gradual.tabular.targets import TargetConfig
from gradual.tabular.train import train_tabular
from gradual.training.config import Phase, TrainingConfig


@dataclass(frozen=True)
class ColdStart(ColdStartConfig):
    """How cold start is scored, and what learns from properties.

    Attributes:
        net: The net on tables and its training.
    """

    net: TabularModelConfig = field(
        default_factory=lambda: TabularModelConfig(
            layers=(64,),
            dropout=0.2,
            training=TrainingConfig(
                phases=(Phase(epochs=20, lr=5e-3),), precision="float32", weight_decay=0.1
            ),
        )
    )


def tabular_learner(net: TabularModelConfig) -> RowLearner:
    """Return a learner that trains a net on tables, all numbers of a row at once."""

    def learn(inputs: pa.Table, rows: np.ndarray) -> Callable[[pa.Table], np.ndarray]:
        columns = ColumnsConfig(continuous=tuple(inputs.column_names))
        preprocessor = fit([inputs], PreprocessingConfig(columns))
        targets = pd.DataFrame(rows).add_prefix("row_")
        examples = Examples(
            preprocessor.transform(inputs),
            as_table(targets),
            np.arange(inputs.num_rows),
            np.zeros(0, np.int64),
            preprocessor,
            TargetConfig(kind="regression", columns=tuple(targets.columns)),
        )
        bundle, _ = train_tabular(examples, net)
        model = TabularModel.from_bundle(bundle, device="cpu")
        return lambda table: model.predict(table).to_numpy(np.float32)

    return learn
