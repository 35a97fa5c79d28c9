"""Nodes of a retrain: each calls one named thing of `gradual.retraining` or `gradual.tracking`."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import RootModel

from gradual import tracking
from gradual.models import model_of
from gradual.pipelines.retraining.records import (
    FINDINGS,
    TABLES,
    check_key,
    finish,
    last_settled,
    lock_of,
    now,
    record_of,
)
from gradual.pipelines.retraining.subjects import Subject, subject_of
from gradual.retraining import judging
from gradual.retraining.columns import ColumnKind as DriftKind
from gradual.retraining.config import RetrainConfig
from gradual.retraining.contract import Broken, ColumnKind, infer
from gradual.retraining.contract_file import ContractFile
from gradual.retraining.drift import drift as tell_apart
from gradual.retraining.errors import ExitCode, Stop
from gradual.retraining.history import History
from gradual.retraining.kept_rows import Beyond, KeptRows, Partition, unified
from gradual.retraining.row_hash import row_hashes
from gradual.sources.reader import SourceRows
from gradual.tracking import promotion
from gradual.tracking import proof as proofs
from gradual.tracking.run import current_namespace
from gradual.training.bundle import Bundle
from gradual.training.files import fingerprint

logger = logging.getLogger(__name__)

Config = RootModel[RetrainConfig]
Groups = Any  # those that say what the rows are; other nodes say of what type they are
# What a column of the contract is to whoever tells new rows from old ones.
_TOLD_BY: dict[ColumnKind, DriftKind] = {
    "label": "target",
    "target": "target",
    "rating": "target",
    "categorical": "level",
    "continuous": "number",
    "text": "text",
    "date": "date",
    "user": "user",
    "item": "item",
}
MOST_BROKEN = 100_000  # values that are kept in quarantine


def take_in(
    arrivals: Sequence[Partition] | Beyond | SourceRows,
    kept_rows: KeptRows,
    contract: ContractFile,
    history: History,
    config: Config,
) -> dict[str, Any]:
    """Keep the partitions that are new, late or corrected.

    Raises:
        Stop: There is nothing that the last retrain has not seen.
    """
    started, found, last = now(), kept_rows.take_in(arrivals), last_settled(history)
    for name, reason in found.refused.items():
        logger.warning("%s was refused and has not changed: %s", name, reason)
    waiting = kept_rows.to_check(_rules(contract, config))
    if not waiting and not found.unreadable:
        if not kept_rows.accepted:
            raise Stop("There are no rows yet.", ExitCode.DONE, "nothing_new")
        if last is not None and last["checked"]["hash"] == kept_rows.hash:
            since = f"{last['started'][:16]}, when the challenger was {last['decision']}"
            raise Stop(f"Nothing new since {since}.", ExitCode.DONE, "nothing_new")
    names = ", ".join(found.taken_in) or "no new partition"
    logger.info("Taken in: %s (%s rows).", names, f"{found.rows:,}")
    return {"started": started, **asdict(found)}


def check(
    arrived: dict[str, Any],
    kept_rows: KeptRows,
    contract: ContractFile,
    config: Config,
    **groups: Groups,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Accept or refuse each partition by the contract, which the first ones make.

    Returns:
        What was found, and the broken rows.
    """
    subject, refused, said, remarks = subject_of(groups), {**arrived["unreadable"]}, [], []
    if not contract.exists():
        tables = [kept_rows.rows(version) for version in kept_rows.to_check("")]
        sizes = [table.num_rows for table in tables]
        contract.write(
            infer(unified(tables), subject.columns, missing=subject.missing, partition_rows=sizes)
        )
        logger.info("The contract that new rows must keep is in %s: look at it.", contract.path)
    asked, rules, frames = contract.read(), _rules(contract, config), []
    for version in kept_rows.to_check(rules):
        broken = asked.check(kept_rows.rows(version))
        frames.append(broken.frame(version.name))
        remarks += [f"{version.name}: {remark}" for remark in broken.remarks]
        if broken.table_wide or broken.share > config.root.max_broken:
            refused[version.name] = broken.summary()
            kept_rows.refuse(version, broken.summary(), rules)
            continue
        kept_rows.accept(version, broken.rows, rules)
        if len(broken.rows):
            said.append(f"{version.name}: {broken.summary()}")
    for line in said:
        logger.warning("%s", line)
    checked = {
        "started": arrived["started"],
        "hash": kept_rows.hash,
        "refused": refused,
        "said": said,
        "remarks": remarks,
        "broken": sum(frame["row"].nunique() for frame in frames),
    }
    empty = Broken(0, pd.DataFrame(columns=["row", "column", "value", "reason", "rule"])).frame("")
    return checked, pd.concat([empty, *frames], ignore_index=True).head(MOST_BROKEN)


def drift(
    checked: dict[str, Any],
    kept_rows: KeptRows,
    contract: ContractFile,
    history: History,
    config: Config,
    **groups: Groups,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Say whether new rows are told from those that the champion was trained on, and by what.

    Returns:
        What was found, and each column.

    Raises:
        ValueError: The champion knows its rows by another key.
    """
    found, empty = {"started": checked["started"]}, pd.DataFrame({"column": []})
    champion = promotion.champion(_name(config))
    if champion is None or checked["refused"]:
        why = "there is no champion yet" if champion is None else "rows were refused"
        return {**found, "said": [f"Not looked for: {why}."], "ended": now()}, empty
    subject = subject_of(groups)
    check_key(history, champion.version, _key(config, subject))
    training, _ = _rows(kept_rows, contract, config, subject)
    known = np.isin(row_hashes(training, _key(config, subject)), champion.training_rows)
    new, old = (training.filter(pa.array(some)) for some in (~known, known))
    if not new.num_rows or not old.num_rows:
        return {**found, "said": ["Not looked for: no row is new."], "ended": now()}, empty
    columns = {name: _TOLD_BY[kind] for name, kind in subject.columns.items()}
    told = tell_apart(new, old, columns, config.root)
    warned = told.drifted and config.root.on_drift != "ignore"
    for line in told.said:
        logger.log(logging.WARNING if warned else logging.INFO, "%s", line)
    tracking.log_metrics({"drift_auc": told.auc})
    names = ("auc", "low", "high", "drifted", "new_rows", "old_rows", "compared", "said")
    found |= {name: getattr(told, name) for name in names}
    return {**found, "words": told.words.to_dict("records"), "ended": now()}, told.columns


def hold_out(
    checked: dict[str, Any],
    drift: dict[str, Any],
    kept_rows: KeptRows,
    contract: ContractFile,
    config: Config,
    **groups: Groups,
) -> tuple[pa.Table, pa.Table]:
    """Lay out the rows to train on, and those that are held out for ever.

    Raises:
        Stop: A partition breaks the contract, or new rows have drifted and that is to stop it.
    """
    if checked["refused"]:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in checked["refused"].items())
        raise Stop(
            f"{reasons}. Correct the rows, or edit {contract.path}; the next run goes on without "
            "them until then.",
            ExitCode.BROKEN_CONTRACT,
            "broken_contract",
        )
    if drift.get("drifted") and config.root.on_drift == "stop":
        raise Stop(
            f"{drift['said'][0]} Look at the page; to go on, set retrain.on_drift to warn.",
            ExitCode.DRIFT,
            "drift",
        )
    training, held_out = _rows(kept_rows, contract, config, subject_of(groups))
    logger.info(
        "%s rows to train on, %s held out.", *(f"{t.num_rows:,}" for t in (training, held_out))
    )
    return training, held_out


def judge(
    held_out_rows: SourceRows,
    training_rows: SourceRows,
    model: Bundle,
    drift: dict[str, Any],
    page: str,  # noqa: ARG001 - all of the challenger is made before it is judged
    config: Config,
    **groups: Groups,
) -> dict[str, Any]:
    """Ask champion and challenger the same held-out rows, which neither was trained on."""
    began, subject = now(), subject_of(groups)
    training, held_out = training_rows.read(), held_out_rows.read()
    champion, bundles = promotion.champion(_name(config)), {judging.CHALLENGER: model}
    learned = []
    if champion is not None:
        learned.append(champion.training_rows)
        bundles["champion"] = champion.bundle
    fresh = judging.unseen(row_hashes(held_out, _key(config, subject)), *learned)
    asked, truth = subject.asked(held_out.filter(pa.array(fresh)))
    truth = replace(truth, slices=judging.slices_of(asked, config.root.floors))
    answers, costs = {}, {}
    for name, bundle in bundles.items() if len(asked) else ():
        predict = model_of(bundle, allowed_rules=subject.allowed_rules).predict
        answers[name] = predict(asked)
        size, time = judging.megabytes(bundle), judging.milliseconds(predict, asked)
        costs[name] = judging.Costs(size, time)
    challenger = answers.pop(judging.CHALLENGER, pd.DataFrame())
    if champion is None:
        answers = subject.baselines(training, asked)
    judgement = judging.judge(
        truth,
        challenger,
        answers or {"champion": pd.DataFrame()},
        config.root,
        first=champion is None,
        left_out=int((~fresh).sum()),
        costs=costs,
    )
    promotion.log_judgement(asdict(judgement))
    return {
        "started": drift["started"],
        "began": began,
        "training_rows": training.num_rows,
        "held_out_rows": held_out.num_rows,
        "champion": None if champion is None else champion.version,
        "key": list(_key(config, subject)),
        **asdict(judgement),
    }


def prove(
    judgement: dict[str, Any],
    held_out_rows: SourceRows,
    model: Bundle,
    logged_model: dict[str, str | None],
    **groups: Groups,
) -> dict[str, Any]:
    """Have a fresh process load the logged model, and compare its answers with those given here."""
    found = {"started": judgement["started"]}
    if judgement["decision"] != "promote" or logged_model["model_uri"] is None:
        return {**found, "proved": None, "sentence": "Not tried: it is not to be promoted."}
    subject = subject_of(groups)
    asked, _ = subject.asked(held_out_rows.read())
    answering = model_of(model, allowed_rules=subject.allowed_rules)
    proof = proofs.prove(logged_model["model_uri"], answering, asked)
    logger.info("%s", proof.sentence)
    return {**found, **asdict(proof)}


def promote(
    judgement: dict[str, Any],
    proof: dict[str, Any],
    training_rows: SourceRows,
    logged_model: dict[str, str | None],
    history: History,
    config: Config,
    **groups: Groups,
) -> dict[str, Any]:
    """Make a challenger that was found better, and was proved, the champion.

    Raises:
        Stop: It could not be proved.
    """
    found = {"started": judgement["started"], "champion": judgement["champion"]}
    uri, name, lock = logged_model["model_uri"], _name(config), lock_of(history)
    if judgement["decision"] != "promote":
        if uri is not None:
            promotion.prune(name, config.root.keep, lock=lock)
        return {**found, "decision": "kept", "message": judgement["sentence"]}
    if uri is None:
        return {**found, "decision": "kept", "message": "No MLflow run is active: nothing is kept."}
    if not proof["proved"]:
        raise Stop(proof["sentence"], ExitCode.NOT_PROVED, "not_proved")
    hashes = row_hashes(training_rows.read(), _key(config, subject_of(groups)))
    version = promotion.register(name, uri, hashes)
    promotion.promote(name, version, judgement["champion"], lock=lock)
    promotion.prune(name, config.root.keep, lock=lock)
    said = f"{judgement['sentence']} Version {version} of {name} is the champion now."
    return {**found, "version": version, "decision": "promoted", "message": said}


def record(
    arrived: dict[str, Any],
    checked: dict[str, Any],
    drift: dict[str, Any],
    judgement: dict[str, Any],
    proof: dict[str, Any],
    promotion: dict[str, Any],
    broken_rows: pd.DataFrame,
    drift_columns: pd.DataFrame,
    history: History,
    config: Config,
) -> tuple[dict[str, Any], str, str]:
    """Write down what became of it all, tag the run with it, and tell whoever is to be told.

    Returns:
        The record, its page, and the page over all retrains.
    """
    findings = (arrived, checked, drift, judgement, proof, promotion)
    source = current_namespace().removesuffix("_retrain")
    made = record_of(
        source,
        dict(zip(FINDINGS, findings, strict=True)),
        promotion["decision"],
        promotion["message"],
    )
    tables = dict(zip(TABLES, (broken_rows, drift_columns), strict=True))
    return made, *finish(made, tables, history, config.root)


def _rows(
    kept_rows: KeptRows, contract: ContractFile, config: Config, subject: Subject
) -> tuple[pa.Table, pa.Table]:
    """All rows to train on and all held out, in the contract's types."""
    keyed = replace(config.root, key=_key(config, subject))
    asked = contract.read()
    training, held_out = (asked.cast(table) for table in kept_rows.split(keyed))
    return training, held_out


def _rules(contract: ContractFile, config: Config) -> str:
    """Hash of what partitions are accepted by."""
    return fingerprint([contract.text(), config.root.max_broken])


def _key(config: Config, subject: Subject) -> tuple[str, ...]:
    return config.root.key or subject.key


def _name(config: Config) -> str:
    name = config.root.registered_name
    assert name is not None  # the configuration gives a retrain its source's
    return name
