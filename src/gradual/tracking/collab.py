"""Log recommenders to MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gradual.tracking.model import log_model
from gradual.tracking.run import active_run_id

if TYPE_CHECKING:
    from gradual.training.bundle import Bundle

COLLAB_REQUIREMENTS = ("numpy", "pandas", "pyarrow", "safetensors", "torch", "tqdm")
COLLAB_CODE = ("collab", "reports", "results", "sources", "tabular", "training")


def log_recommender(
    bundle: Bundle,
    *,
    n: int = 10,
    registered_name: str | None = None,
    alias: str | None = None,
    name: str = "recommender",
) -> str | None:
    """Log a recommender as an MLflow model: users to lists, pairs of users and items to scores.

    Its input is the column `user`, and `item` where a score is asked for; ids are text or numbers
    as text. The parameters `n` and `exclude_seen` of a prediction say how lists are made.

    Args:
        bundle: A bundle of the kind "collab".
        n: Length of a list unless the caller says otherwise.
        registered_name: See `log_model`, and so for the others.
        alias: A name for the new version.
        name: The model's name in the run.

    Returns:
        The model's URI, or None where no run is active.

    Raises:
        ValueError: If there is an alias without a registered name.
    """
    import pandas as pd

    from gradual.collab.recommender import Recommender
    from gradual.collab.serving import answer

    # A user who asks for a list has no item, so `item` is optional in the signature.
    users, items = ([str(i) for i in bundle.metadata[side][:2]] for side in ("users", "items"))
    example = pd.DataFrame({"user": [*users, users[0]], "item": [*items, None]})
    output = pd.DataFrame()
    if active_run_id() is not None:
        output = answer(Recommender.from_bundle(bundle), example)
    return log_model(
        {"recommender": bundle},
        script=Path(__file__).with_name("collab_model.py"),
        input_example=example,
        output_example=output,
        code=COLLAB_CODE,
        requirements=COLLAB_REQUIREMENTS,
        name=name,
        registered_name=registered_name,
        alias=alias,
        params={"n": n, "exclude_seen": True},
    )
