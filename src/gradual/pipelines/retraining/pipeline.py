"""Take in → check → drift → train a challenger → judge → prove → promote → record."""

from kedro.pipeline import Pipeline

from gradual.pipelines import step
from gradual.pipelines.retraining import nodes
from gradual.pipelines.retraining.subjects import groups_of, subject_class

_STATE = "kept_rows contract"
_CONFIG = "params:retrain"


def create_pipeline(kind: str) -> Pipeline:
    """Return all but the training, which is the kind's own pipeline on the rows laid out here.

    Args:
        kind: `texts`, `tables` or `ratings`.
    """
    model, about = subject_class(kind).model, groups_of(kind)
    return Pipeline(
        [
            step(nodes.take_in, f"arrivals {_STATE} history {_CONFIG}", "arrived"),
            step(nodes.check, f"arrived {_STATE} {_CONFIG}", "checked broken_rows", more=about),
            step(
                nodes.drift,
                f"checked {_STATE} history {_CONFIG}",
                "drift drift_columns",
                more=about,
            ),
            step(
                nodes.hold_out,
                f"checked drift {_STATE} {_CONFIG}",
                "training_rows held_out_rows",
                more=about,
            ),
            step(
                nodes.judge,
                f"held_out_rows training_rows {model} drift report {_CONFIG}",
                "judgement",
                more=about,
            ),
            step(
                nodes.prove,
                f"judgement held_out_rows {model} logged_model",
                "proof",
                more=about,
            ),
            step(
                nodes.promote,
                f"judgement proof training_rows logged_model history {_CONFIG}",
                "promotion",
                more=about,
            ),
            step(
                nodes.record,
                "arrived checked drift judgement proof promotion broken_rows drift_columns "
                f"history {_CONFIG}",
                "record judgement_report history_report",
            ),
        ],
        tags="retrain",
    )
