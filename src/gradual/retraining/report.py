"""The pages of a retrain: what became of one, and of all so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gradual.reports import figures as kit
from gradual.reports.page import Block, Material, Note, Section, Table, Warning, write
from gradual.results.metrics import metric_named
from gradual.results.table import gap_text, result_rows, score_text
from gradual.retraining.figures import FIGURES

Record = Mapping[str, Any]

DECISIONS = {
    "promoted": "promoted",
    "kept": "kept",
    "overtaken": "overtaken: another run promoted meanwhile",
    "nothing_new": "nothing new",
    "broken_contract": "stopped: broken contract",
    "drift": "stopped: drift",
    "not_proved": "stopped: not proved",
    "out_of_time": "stopped: out of time",
    "rolled_back": "rolled back",
    "failed": "failed",
}


def judgement_page(record: Record, tables: Mapping[str, pd.DataFrame]) -> str:
    """Write the page about one retrain.

    Args:
        record: What became of it, see `gradual.pipelines.retraining.records`.
        tables: `broken_rows` and `drift_columns`, where they were found.
    """
    material = Material(
        {"headline": record["message"], **record},
        result_rows([{"source": record["source"], "rows": 0}]),
        tables=tables,
    )
    return write("A challenger is judged", _JUDGEMENT, material)


def _decision(m: Material) -> Section | None:
    judged = m.summary.get("judgement")
    if not judged:
        return None
    blocks: list[Block] = [Warning(text) for text in judged["warnings"]]
    rows = judged["rows"]
    counted = f"{rows['judged']:,} held-out rows that neither model was trained on"
    if rows["left_out"]:
        counted += f"; {rows['left_out']:,} others are left out because the champion was"
    blocks += [f"The rule: {judged['rule']}.", Note(f"Scored on {counted}. 95 % intervals.")]
    blocks.append(_figures(judged))
    if judged["slices"]:
        blocks += ["By class and slice:", _slices(judged)]
    if judged["limits"]:
        blocks += ["Limits:", Table(pd.DataFrame(judged["limits"]))]
    if judged["costs"]:
        costs = pd.DataFrame(judged["costs"]).T.rename_axis("Model").reset_index()
        blocks += ["What each costs:", Table(costs)]
    return Section("Champion and challenger", blocks)


def _figures(judged: Mapping[str, Any]) -> Table:
    lines = []
    for one in judged["figures"]:
        metric = metric_named(one["metric"])
        texts = [score_text(metric, **one[model]) for model in ("challenger", "against")]
        gap = gap_text(metric, one["gap"])
        decides = " (decides)" if metric.name == judged["metric"] else ""
        lines.append([metric.title + decides, *texts, gap, "yes" if one["gap"]["clear"] else "no"])
    names = ["Metric", "Challenger", judged["against"].capitalize(), "In its favour", "Clear"]
    return Table(pd.DataFrame(lines, columns=names), numbers=names[1:4])


def _slices(judged: Mapping[str, Any]) -> Table:
    frame = pd.DataFrame(judged["slices"])
    frame["metric"] = frame["metric"].str.capitalize()
    titles = {"name": "Rows with", "metric": "Metric", "rows": "Rows", "challenger": "Challenger"}
    titles |= {"against": judged["against"].capitalize(), "floor": "Floor", "met": "Met"}
    return Table(frame[[name for name in titles if name in frame]], titles=titles)


def _proof(m: Material) -> Section | None:
    proof = m.summary.get("proof")
    if not proof:
        return None
    facts = {name: proof[name] for name in ("rows", "seconds", "tolerance") if name in proof}
    return Section("Proof in a fresh process", [proof["sentence"], *([facts] if facts else [])])


def _partitions(m: Material) -> Section | None:
    arrived = m.summary.get("arrived")
    if not arrived:
        return None
    names = ("taken_in", "corrected", "late", "unchanged")
    told: dict[str, Any] = {name: _listed(arrived[name]) for name in names}
    refused = arrived["unreadable"] | arrived["refused"]
    blocks: list[Block] = [Warning(f"{name} is left out: {why}") for name, why in refused.items()]
    return Section("Rows taken in", [*blocks, told | {"rows": m.summary.get("rows") or {}}])


def _listed(names: Any) -> Any:
    return (", ".join(names) or "none") if isinstance(names, list | tuple) else names


def _contract(m: Material) -> Section | None:
    checked = m.summary.get("checked")
    if not checked:
        return None
    blocks: list[Block] = [Warning(text) for text in checked["said"]]
    broken = m.tables.get("broken_rows")
    if broken is not None and len(broken):
        blocks += ["The first of the rows in quarantine:", Table(broken.head(20))]
    blocks += [Note(text) for text in checked["remarks"]]
    return Section("Contract", blocks or ["All new rows keep the contract."])


def _drift(m: Material) -> Section | None:
    found = m.summary.get("drift")
    if not found:
        return None
    blocks: list[Block] = list(found["said"])
    columns = m.tables.get("drift_columns")
    if columns is not None and len(columns):
        shown = columns[[name for name in _SHIFTS if name in columns]]
        blocks.append(Table(shown, titles=_SHIFTS))
    return Section("Drift", blocks)


_SHIFTS = {
    "column": "Column",
    "importance": "AUC lost without it",
    "old": "Old rows",
    "new": "New rows",
    "p_value": "p",
    "left_out": "Not looked at, since it is",
}


def _run(m: Material) -> Section:
    names = ("started", "finished", "decision", "exit_code", "run_id", "seconds", "versions")
    return Section("The run", [{n: m.summary[n] for n in names if m.summary.get(n) is not None}])


_JUDGEMENT = (_decision, _proof, _partitions, _contract, _drift, _run)


def history_page(records: Sequence[Record]) -> str:
    """Write the page over all retrains of a source, the latest first.

    Args:
        records: At least one, the oldest first.
    """
    drawn = kit.draw_all(FIGURES, records)
    last = records[-1]
    nights = f"{len(records):,} retrain" + ("s" if len(records) > 1 else "")
    promoted = sum(record["decision"] == "promoted" for record in records)
    material = Material(
        {"headline": f"{nights}, {promoted:,} promoted. The last: {last['message']}"},
        result_rows([{"source": last["source"], "rows": 0}]),
        drawn,
        {"records": table(records)},
    )
    return write("All retrains", (_nights, _words), material)


def _nights(m: Material) -> Section:
    shown = m.tables["records"].iloc[::-1].drop(columns="Why")
    numbers = [str(name) for name in shown if name not in ("Started", "Decision", "Metric")]
    blocks: list[Block] = [*m.drawn("scores"), m.drawn("rows", "drift", "durations")]
    return Section("", [*blocks, Table(shown, numbers=numbers)])


def _words(m: Material) -> Section:
    said = m.tables["records"].iloc[::-1][["Started", "Why"]].rename(columns={"Why": "text"})
    return Section("In words", [Table(said, titles={"text": "What became of it"})])


def table(records: Sequence[Record]) -> pd.DataFrame:
    """A line for each retrain, the oldest first, as people read it."""
    return pd.DataFrame([_line(record) for record in records])


def _line(record: Record) -> dict[str, Any]:
    judged, rows = record.get("judgement") or {}, record.get("rows") or {}
    by = next((one for one in judged.get("figures", ()) if one["metric"] == judged["metric"]), None)
    line = {
        "Started": record["started"][:16].replace("T", " "),
        "Decision": DECISIONS.get(record["decision"], record["decision"]),
        "Metric": "–" if by is None else metric_named(by["metric"]).title,
    }
    for model, title in (("challenger", "Challenger"), ("against", "Champion")):
        line[title] = "–" if by is None else score_text(by["metric"], **by[model])
    line |= {name: f"{rows[key]:,}" if key in rows else "–" for name, key in _ROWS.items()}
    auc = (record.get("drift") or {}).get("auc")
    seconds = (record.get("seconds") or {}).get("all")
    line["Drift"] = "–" if auc is None else f"{auc:.2f}"
    line["Minutes"] = "–" if seconds is None else f"{seconds / 60:.1f}"
    return line | {"Why": record["message"]}


_ROWS = {"Trained on": "training", "Held out": "held_out", "New": "new", "Broken": "broken"}
