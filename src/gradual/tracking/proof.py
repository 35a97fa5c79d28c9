"""The proof that a logged model can be loaded elsewhere, and answers there as it does here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gradual.tracking.environment import without_passwords

if TYPE_CHECKING:
    from gradual.models import Model

_SCRIPT = Path(__file__).with_name("proof_script.py")
TOLERANCE = 1e-4
"""Largest difference of two numbers, relative to the larger of 1 and the number: what batches of
other sizes and threads in another order do to float32."""
_UNKNOWN = "qzxwv unseen"
_ROWS = 5


@dataclass(frozen=True)
class Proof:
    """Whether a logged model has been proved; JSON can hold it.

    Attributes:
        proved: It was loaded in a fresh process and answers as it does here.
        sentence: The same for people, with the reason if it is not.
        rows: How many rows it was asked.
        difference: The largest difference of two numbers, relative to the larger of 1 and the
            number; None where there was none to compare.
        tolerance: The largest that is allowed.
        seconds: What loading and answering took, the start of Python included.
    """

    proved: bool
    sentence: str
    rows: int
    difference: float | None
    tolerance: float
    seconds: float


def prove(
    model_uri: str,
    model: Model,
    rows: pd.DataFrame,
    *,
    tolerance: float = TOLERANCE,
    timeout: float = 600.0,
) -> Proof:
    """Load a logged model in a fresh Python process, and compare its answers with those here.

    The process gets the model from the tracking server, with the code that was logged with it: it
    has neither the project's folder nor its modules on its path.

    Args:
        model_uri: `models:/m-…` or `models:/<name>/<version>`.
        model: The same model in this process.
        rows: Raw rows, at least one, as the model takes them; some are asked, and `smoke_rows`.
        tolerance: See `Proof`.
        timeout: Seconds until the process is given up.
    """
    started = time.perf_counter()
    asked = smoke_rows(model, rows)
    here = model.predict(asked)
    try:
        there = _answers_elsewhere(model_uri, asked, timeout)
        difference, problem = _compare(here, there, tolerance)
    except _NotLoadedError as error:
        difference, problem = None, str(error)
    seconds = round(time.perf_counter() - started, 3)
    sentence = f"Not proved: {problem}." if problem else (
        f"Proved: a fresh process loads {model_uri} and answers {len(asked)} rows, with gaps and "
        f"unknown values among them, as this one does"
        + ("." if difference is None else f" (largest difference {difference:.1g}).")
    )  # fmt: skip
    return Proof(problem is None, sentence, len(asked), difference, tolerance, seconds)


def smoke_rows(model: Model, rows: pd.DataFrame) -> pd.DataFrame:
    """Some raw rows, one with values that no training row has, and one with gaps.

    Where a model refuses an unknown value or a gap in a column, that column stays as it is.

    Args:
        model: Who is to be asked.
        rows: Raw rows, at least one; other columns than the model's are left out. A column that
            the model can do without, such as the item where a list is asked for, may be missing.

    Returns:
        The rows, in the types that a server gets: text columns are strings.
    """
    example = model.example
    some = rows[[name for name in example if name in rows]].head(_ROWS).reset_index(drop=True)
    kinds = example if model.typed else some
    texts = [name for name in some if not pd.api.types.is_numeric_dtype(kinds[name])]
    for name in texts:  # ids, dates: what JSON would say
        some[name] = some[name].astype("str").where(some[name].notna(), None).astype(object)
    odd = []
    for wanted in ([_UNKNOWN, None], [None]):
        row = some.iloc[[0]].copy()
        for name in some:
            for value in wanted if name in texts else [None]:
                changed = row.assign(**{str(name): pd.Series([value], some.index[:1], object)})
                if name not in texts:
                    changed[name] = changed[name].astype("float64")
                if _is_answered(model, changed):
                    row = changed
                    break
        odd.append(row)
    return pd.concat([some, *odd], ignore_index=True)


def _is_answered(model: Model, row: pd.DataFrame) -> bool:
    try:
        model.predict(row)
    except ValueError:
        return False
    return True


class _NotLoadedError(Exception):
    """The other process came to no answer."""


def _answers_elsewhere(model_uri: str, asked: pd.DataFrame, timeout: float) -> pd.DataFrame:
    import mlflow

    # -I: no PYTHONPATH, no current folder, no user's packages.
    own = {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    own |= {"MLFLOW_REGISTRY_URI": mlflow.get_registry_uri(), "MLFLOW_DISABLE_TELEMETRY": "true"}
    own |= {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    with tempfile.TemporaryDirectory() as folder:
        questions, answers, facts = (Path(folder, n) for n in ("asked", "answered", "facts"))
        asked.to_parquet(questions)
        try:
            done = subprocess.run(
                [sys.executable, "-I", _SCRIPT, model_uri, questions, answers, facts, folder],
                cwd=folder,
                env={**os.environ, **own},
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _NotLoadedError(f"no answer within {timeout:g} seconds") from error
        if done.returncode:
            lines = without_passwords(done.stderr).strip().splitlines() or ["without a word"]
            raise _NotLoadedError(
                f"a fresh process cannot load it or answer (status {done.returncode}): {lines[-1]}"
            )
        said = json.loads(facts.read_text(encoding="utf-8"))
        if not Path(said["code"]).resolve().is_relative_to(Path(said["folder"]).resolve()):
            raise _NotLoadedError(
                f"it did not run with the code that was logged with it, but with {said['code']}"
            )
        return pd.read_parquet(answers)


def _compare(
    here: pd.DataFrame, there: pd.DataFrame, tolerance: float
) -> tuple[float | None, str | None]:
    """The largest difference of two numbers, and what is wrong, if anything."""
    if list(here) != list(there) or len(here) != len(there):
        return None, (
            f"here it gives {len(here)} answers with the columns {list(here)}, in a fresh process "
            f"{len(there)} with {list(there)}"
        )
    largest = None
    for name in here:
        one, other = here[name], there[name]
        if pd.api.types.is_float_dtype(one):
            a, b = (pd.to_numeric(v, errors="coerce").to_numpy(np.float64) for v in (one, other))
            gaps = np.abs(a - b) / np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
            same = (np.isnan(a) & np.isnan(b)) | (gaps <= tolerance)
            found = float(np.max(gaps, initial=0.0, where=np.isfinite(gaps)))
            largest = max(found, largest or 0.0)
        else:
            same = np.array([_plain(a) == _plain(b) for a, b in zip(one, other, strict=True)])
        if not same.all():
            row = int(np.flatnonzero(~same)[0])
            return largest, (
                f"answer {row} has {name} {_plain(one.iloc[row])!r} here and "
                f"{_plain(other.iloc[row])!r} in a fresh process"
            )
    return largest, None


def _plain(value: Any) -> Any:
    """A value as both processes write it: lists as lists, any gap as None."""
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in value]
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value
