"""Log models on tables to MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gradual.tracking.model import log_model
from gradual.tracking.run import active_run_id

if TYPE_CHECKING:
    import pandas as pd

    from gradual.training.bundle import Bundle

# What a model on a table imports: the packages and the parts of this one.
REQUIREMENTS = (
    "holidays", "numpy", "pandas", "pyarrow", "safetensors", "scikit-learn", "scipy", "torch",
    "tqdm",
)  # fmt: skip
CODE = ("reports", "results", "sources", "tabular", "training")


def log_tabular_model(
    bundle: Bundle,
    *,
    input_example: pd.DataFrame,
    registered_name: str | None = None,
    alias: str | None = None,
    name: str = "model",
) -> str | None:
    """Log a model on a table as an MLflow model that takes raw rows.

    Its answer is that of `gradual.tabular.predict.TableModel.predict`. The example is answered
    first, so that a bundle that does not work is not logged.

    Args:
        bundle: A net or trees, see `gradual.tabular.serving.model_from_bundle`.
        input_example: A few raw rows, with the columns that the model takes.
        registered_name: See `log_model`, and so for the others.
        alias: A name for the new version.
        name: The model's name in the run.

    Returns:
        The model's URI, or None where no run is active.

    Raises:
        ValueError: If there is an alias without a registered name, or the example is refused.
    """
    import pandas as pd

    from gradual.tabular.serving import model_from_bundle

    answer = pd.DataFrame()
    if active_run_id() is not None:
        answer = model_from_bundle(bundle).predict(input_example)
    return log_model(
        {"model": bundle},
        script=Path(__file__).with_name("tabular_model.py"),
        input_example=input_example,
        output_example=answer,
        code=CODE,
        requirements=REQUIREMENTS,
        name=name,
        registered_name=registered_name,
        alias=alias,
        checks_types=True,
    )
