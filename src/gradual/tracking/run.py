"""Log metrics, results, parameters, files and tags to the active MLflow run.

Names are put under the namespace of the Kedro node that is running (`imdb.` …), which the
project's hook sets, so that two data sources in one run do not overwrite each other.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

MAX_VALUE = 500
"""Characters of a logged parameter; MLflow takes 6,000, which are too many for a table."""

# Limits of MLflow's log-batch call (mlflow.utils.validation), by entity.
_METRICS_PER_BATCH = 1000
_PARAMS_PER_BATCH = 100

_namespace: ContextVar[str] = ContextVar("gradual_tracking_namespace", default="")


def set_namespace(name: str | None) -> None:
    """Put what this thread logs from now on under ``name`` ("" or None: under nothing)."""
    _namespace.set(name or "")


def current_namespace() -> str:
    """What `set_namespace` or `namespace` was given last in this thread; "" for none."""
    return _namespace.get()


@contextmanager
def namespace(name: str) -> Iterator[None]:
    """Put what is logged inside the ``with`` block under ``name``."""
    token = _namespace.set(name)
    try:
        yield
    finally:
        _namespace.reset(token)


def active_run_id() -> str | None:
    """The id of the MLflow run that is active in this thread, or None.

    A run can only be active where MLflow was imported, so this never imports it.
    """
    mlflow = sys.modules.get("mlflow")
    run = mlflow.active_run() if mlflow is not None and hasattr(mlflow, "active_run") else None
    return None if run is None else str(run.info.run_id)


def log_metrics(metrics: Mapping[str, Any], step: int | None = None, prefix: str = "") -> None:
    """Log numbers to the active run in one call to the tracking store.

    Args:
        metrics: Number by name; None is left out, and so is a value that is not finite (MLflow's
            charts cannot show it), with a warning that names it.
        step: Where on the x axis the numbers belong (epoch, step); None is step 0.
        prefix: Put before each name, with a dot: ``prefix="language_model"`` in a node of the
            namespace `imdb` makes `imdb.language_model.valid_loss`.

    Raises:
        TypeError: If a value is neither None nor a number.
    """
    run_id = active_run_id()
    if run_id is None:
        logger.debug("No active MLflow run: metrics %s are not logged.", list(metrics))
        return
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    entities = []
    for name, value in metrics.items():
        if value is None:
            continue
        key = metric_name(name, prefix)
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"Metric {key!r} must be a number or None, is {value!r}.") from error
        if not math.isfinite(number):
            logger.warning("Metric %r at step %s is %s: not logged.", key, step or 0, number)
            continue
        entities.append(Metric(key, number, now, step or 0))
    for start in range(0, len(entities), _METRICS_PER_BATCH):
        _client().log_batch(run_id, metrics=entities[start : start + _METRICS_PER_BATCH])


def log_results(scores: pd.DataFrame, summary: Mapping[str, Any] | None = None) -> None:
    """Log result rows as metrics: `test.net.accuracy`, its interval as `….low` and `….high`.

    Only what is said of all rows and, where there are several seeds, of their mean: the stored
    table has the rest. The result in words goes to the log, whether a run is active or not.

    Args:
        scores: Result rows (`gradual.results.table`): columns part, model, metric, seed, slice,
            value, low, high; an interval may be missing.
        summary: `headline`, and `warnings` if there are any.
    """
    if summary is not None:
        logger.info(summary["headline"])
        for warning in summary.get("warnings", ()):
            logger.warning(warning)
    whole = scores[scores["seed"].isna() & (scores["slice"] == "")]
    metrics: dict[str, Any] = {}
    for row in whole.to_dict("records"):
        name = f"{row['part']}.{row['model']}.{row['metric']}".replace(" ", "_")
        metrics[name] = row["value"]
        if math.isfinite(row["low"]):
            metrics |= {f"{name}.low": row["low"], f"{name}.high": row["high"]}
    log_metrics(metrics)


def count_looks(fingerprint: str) -> int:
    """Say how often the rows of a test set have been scored, this time included.

    The active run is tagged with the rows when it scores them, so that a run which fails later
    counts (somebody may have looked), and one which failed before does not. Runs of all experiments
    of the tracking store count, deleted ones too.

    Args:
        fingerprint: Hash of the test rows, the same for the same rows whatever is trained on.

    Returns:
        The number of runs that have scored these rows; 1 where no run is active.
    """
    run_id = active_run_id()
    if run_id is None:
        logger.debug("No active MLflow run: looks at the test rows are not counted.")
        return 1
    from mlflow.entities import ViewType

    tag = _key(f"test_rows.{fingerprint}")
    set_tags({tag: current_namespace() or "scored"})
    client = _client()
    everything = {"run_view_type": ViewType.ALL, "filter_string": f"tags.`{tag}` LIKE '%'"}
    experiments = [e.experiment_id for e in pages(client.search_experiments, ViewType.ALL)]
    return len({r.info.run_id for r in pages(client.search_runs, experiments, **everything)})


def pages(search: Callable[..., Any], *args: Any, **options: Any) -> Iterator[Any]:
    """All that a search of MLflow's finds, which gives a page at a time."""
    token = None
    while token != "":
        page = search(*args, **options, page_token=token)
        yield from page
        token = page.token or ""


def log_params(params: Mapping[str, Any]) -> None:
    """Log parameters to the active run, nested ones under dotted names (see `flatten`).

    A parameter that the run has already keeps its value: MLflow does not allow a change. A
    different value is then a warning, because a run that was resumed with other parameters
    should be a new run.
    """
    run_id = active_run_id()
    if run_id is None:
        logger.debug("No active MLflow run: parameters %s are not logged.", list(params))
        return
    from mlflow.entities import Param

    new = {metric_name(name): text for name, text in flatten(params).items()}
    old = _client().get_run(run_id).data.params
    for name in sorted(new.keys() & old.keys()):
        if new[name] != old[name]:
            logger.warning(
                "Parameter %r of the MLflow run is %s already and cannot become %s.",
                name, old[name], new[name],
            )  # fmt: skip
    entities = [Param(name, text) for name, text in new.items() if name not in old]
    for start in range(0, len(entities), _PARAMS_PER_BATCH):
        _client().log_batch(run_id, params=entities[start : start + _PARAMS_PER_BATCH])


def set_tags(tags: Mapping[str, Any]) -> None:
    """Set tags of the active run; None is left out. Tags describe the run, so no namespace."""
    run_id = active_run_id()
    if run_id is None:
        logger.debug("No active MLflow run: tags %s are not set.", list(tags))
        return
    from mlflow.entities import RunTag

    entities = [RunTag(_key(name), str(tag)) for name, tag in tags.items() if tag is not None]
    for start in range(0, len(entities), _PARAMS_PER_BATCH):
        _client().log_batch(run_id, tags=entities[start : start + _PARAMS_PER_BATCH])


def log_artifact(content: Path | str | Mapping[str, Any] | Sequence[Any], name: str = "") -> None:
    """Log a file, a folder, a text or JSON as an artifact of the active run.

    Args:
        content: A ``Path`` is the file or folder to copy; a string is the text itself; anything
            else is written as JSON.
        name: The artifact's path in the run, below the namespace's folder: a file name with its
            folders for a text or JSON, the folder to put it into for a ``Path`` ("" for none).

    Raises:
        FileNotFoundError: If ``content`` is a path where nothing is.
    """
    if active_run_id() is None:
        logger.debug("No active MLflow run: artifact %r is not logged.", name or str(content)[:80])
        return
    import mlflow

    path = "/".join(part for part in (*current_namespace().split("."), name) if part)
    if isinstance(content, Path):
        if content.is_dir():
            mlflow.log_artifacts(str(content), path or None)
        elif content.exists():
            mlflow.log_artifact(str(content), path or None)
        else:
            raise FileNotFoundError(f"{content} does not exist, so MLflow cannot have it.")
    else:
        text = content if isinstance(content, str) else json.dumps(content, indent=2, default=str)
        mlflow.log_text(text, path)


def metric_name(name: str, prefix: str = "") -> str:
    """``name`` under the current namespace and ``prefix``, in characters that MLflow takes."""
    parts = (current_namespace(), prefix.strip("."), name)
    return _key(".".join(part for part in parts if part))


def flatten(params: Mapping[str, Any]) -> dict[str, str]:
    """Nested parameters as text by dotted name.

    Pydantic models, dataclasses and mappings become one name per field, lists of those one per
    position (`training.phases.0.lr`); a list of values stays together (`[0.95, 0.85]`).
    A value longer than `MAX_VALUE` characters is cut and ends in "…".
    """
    flat: dict[str, str] = {}
    for name, value in params.items():
        for key, leaf in _leaves(str(name), value):
            text = str(leaf)
            flat[_key(key)] = text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
    return flat


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if _fields(value) == ["root"]:  # a pydantic RootModel only wraps what it validates
        value = value.root
    children = _children(value)
    if children:
        for key, child in children.items():
            yield from _leaves(f"{name}.{key}", child)
    elif isinstance(value, list | tuple | set | frozenset):
        # One notation for lists from YAML and tuples of a configuration object.
        yield name, list(value) if isinstance(value, list | tuple) else sorted(value, key=str)
    else:
        yield name, {} if isinstance(value, Mapping) else value


def _children(value: Any) -> dict[str, Any]:
    """What is inside a nested value by name; empty for a leaf."""
    if isinstance(value, Mapping):
        return {str(key): child for key, child in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if fields := _fields(value):
        return {name: getattr(value, name) for name in fields}
    if isinstance(value, list | tuple) and any(_is_nested(child) for child in value):
        return {str(position): child for position, child in enumerate(value)}
    return {}


def _fields(value: Any) -> list[str]:
    """The fields of a pydantic model, which need not be imported to know one."""
    fields = getattr(type(value), "model_fields", None)
    return list(fields) if isinstance(fields, dict) else []


def _is_nested(value: Any) -> bool:
    return bool(_children(value)) or isinstance(value, Mapping)


def _key(name: str) -> str:
    """``name`` with what MLflow refuses in a key replaced by "_", at most 250 characters.

    A slash would be allowed, but not every path; one that begins with dots may lead upwards.
    """
    return re.sub(r"[^\w.\- ]", "_", name).lstrip(".")[:250] or "_"


def _client() -> Any:
    from mlflow import MlflowClient

    return MlflowClient()
