"""The record of one retrain, however it ends: what its nodes have stored, put together."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import CatalogProtocol

from gradual import tracking
from gradual.retraining import report
from gradual.retraining.config import RetrainConfig
from gradual.retraining.errors import ExitCode, Stop
from gradual.retraining.history import History
from gradual.retraining.notify import notify
from gradual.tracking import promotion
from gradual.tracking.environment import without_passwords
from gradual.tracking.run import active_run_id

logger = logging.getLogger(__name__)

#: What the nodes store, in their order; each holds `started`, the time at which the run began.
FINDINGS = ("arrived", "checked", "drift", "judgement", "proof", "promotion")
TABLES = ("broken_rows", "drift_columns")
#: Decisions after which the same rows are not trained on again.
SETTLED = ("promoted", "kept")
_ROWS = {
    "taken_in": ("arrived", "rows"),
    "broken": ("checked", "broken"),
    "new": ("drift", "new_rows"),
    "training": ("judgement", "training_rows"),
    "held_out": ("judgement", "held_out_rows"),
}


def now() -> str:
    """The time in ISO 8601, to the microsecond, in UTC."""
    return datetime.now(UTC).isoformat()


def record_of(
    source: str,
    found: Mapping[str, Mapping[str, Any]],
    decision: str,
    message: str,
    exit_code: int = ExitCode.DONE,
    started: str = "",
) -> dict[str, Any]:
    """Put a record together.

    Args:
        source: Name of the source.
        found: What the nodes of this run have stored, by name.
        decision: What became of it, a word of `gradual.retraining.report.DECISIONS`.
        message: The same in a sentence.
        exit_code: What the process exits with.
        started: When the run began, if nothing is stored that says it.
    """
    ended = now()
    began = found.get("arrived", {}).get("started", started)
    seconds = {"all": _between(began, ended)}
    if "judgement" in found and "drift" in found:
        seconds["training"] = _between(found["drift"]["ended"], found["judgement"]["began"])
    rows = {
        title: found[name][field]
        for title, (name, field) in _ROWS.items()
        if field in found.get(name, {})
    }
    return {
        "source": source,
        "started": began,
        "finished": ended,
        "decision": decision,
        "message": message,
        "exit_code": int(exit_code),
        "run_id": active_run_id(),
        "seconds": seconds,
        "rows": rows,
        **{name: found[name] for name in FINDINGS if name in found},
    }


def _between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def last_settled(history: History) -> dict[str, Any] | None:
    """Return the record of the last retrain that trained on what there was; None if none did."""
    records = reversed(history.records())
    return next((record for record in records if record["decision"] in SETTLED), None)


def check_key(history: History, version: str, key: Sequence[str]) -> None:
    """Check that a champion's training rows are known by the same columns as now.

    Raises:
        ValueError: They are not: all rows would look as if it had not been trained on them.
    """
    for record in history.records():
        made = record.get("promotion", {}).get("version") == version
        if made and record["judgement"]["key"] != list(key):
            raise ValueError(
                f"retrain.key is {list(key)}, but was {record['judgement']['key']} when version "
                f"{version}, the champion, was trained: which rows it knows cannot be said. Set "
                "the key back, or take the alias champion off it in MLflow, and the next retrain "
                "makes a first champion"
            )


def finish(
    record: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    history: History,
    config: RetrainConfig,
) -> tuple[str, str]:
    """Add a record to the history, tag the run with it, and tell whoever is to be told.

    Args:
        record: What became of a retrain.
        tables: Those of `TABLES` that it has found.
        history: Of the source.
        config: Says who is told.

    Returns:
        The page about it, and the page about all.
    """
    history.append(record)
    if record["decision"] != "nothing_new":
        notify(config.notify, record)
    tracking.set_tags({f"retrain.{name}": record[name] for name in ("decision", "message")})
    logger.info("%s: %s", record["decision"], record["message"])
    return report.judgement_page(record, tables), report.history_page(history.records())


def end_early(catalog: CatalogProtocol, namespace: str, error: Exception, started: str) -> None:
    """Record a retrain that was stopped or has failed, and write its pages.

    Args:
        catalog: Where the nodes have stored what they found.
        namespace: Of the retrain.
        error: What ended it.
        started: When this process began with it; "" if another one took the rows in.
    """
    found = _of_this_run(catalog, namespace, started)
    decision, exit_code = "failed", ExitCode.ERROR
    message = without_passwords(f"{type(error).__name__}: {error}")
    if isinstance(error, Stop):
        decision, exit_code, message = error.decision, error.exit_code, str(error)
    source = namespace.removesuffix("_retrain")
    record = record_of(source, found, decision, message, exit_code, started or now())
    tables = {
        name: catalog.load(f"{namespace}.{name}")
        for name, finding in zip(TABLES, ("checked", "drift"), strict=True)
        if finding in found
    }
    config = catalog.load(f"params:{namespace}.retrain").root
    pages = finish(record, tables, catalog.load(f"{namespace}.history"), config)
    for name, page in zip(("judgement_report", "history_report"), pages, strict=True):
        catalog.save(f"{namespace}.{name}", page)


def roll_back(source: str, registered: str, history: History) -> dict[str, Any]:
    """Make the champion before this one the champion again, and record it.

    Returns:
        The record.
    """
    move = promotion.rollback(registered, lock=lock_of(history))
    message = f"Version {move.version} of {registered} is the champion again" + (
        f", in place of version {move.before}." if move.before else "."
    )
    record = record_of(source, {}, "rolled_back", message, started=now())
    history.append(record)
    return record


def lock_of(history: History) -> Path:
    """Return the file that is locked while the champion is changed."""
    return history.path / "champion.lock"


def _of_this_run(catalog: CatalogProtocol, namespace: str, started: str) -> dict[str, Any]:
    """What this run has stored: it all says when the run began."""
    found: dict[str, Any] = {}
    for name in FINDINGS:
        if not catalog.exists(f"{namespace}.{name}"):
            break
        content = catalog.load(f"{namespace}.{name}")
        if content["started"] < started:  # an earlier run's
            break
        found[name], started = content, content["started"]
    return found
