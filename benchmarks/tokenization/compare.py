"""Compare our tokens and our rate with fastai's, and run all of aclImdb; writes results.md.

python compare.py MIRROR --fastai-python PATH [--sample 10000] [--workers 2] [--turns 3]
"""

import argparse
import csv
import difflib
import io
import json
import platform
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ours import reviews

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))
from common import machine  # noqa: E402


def measured(command: list[str]) -> dict[str, Any]:
    """Run a command; its JSON line and the peak of memory, summed over its processes."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = {"rss": 0, "pss": 0}

    def watch() -> None:
        while process.poll() is None:
            tree = descendants(process.pid)
            peak["rss"] = max(peak["rss"], sum(memory(pid, "Rss") for pid in tree))
            peak["pss"] = max(peak["pss"], sum(memory(pid, "Pss") for pid in tree))
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output = process.communicate()[0]
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    figures = json.loads(output.strip().splitlines()[-1])
    return figures | {f"peak_{kind}_gb": value / 1e6 for kind, value in peak.items()}


def descendants(pid: int) -> list[int]:
    """The process and all that it started."""
    found = [pid]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:  # it has just ended
                continue
    return found


def memory(pid: int, kind: str) -> int:
    """Kilobytes of a process: Rss counts shared pages in full, Pss the share of each."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")), 0)


def lesson_texts(mirror: Path) -> list[str]:
    """The 1,000 reviews of the lesson."""
    with tarfile.open(mirror / "imdb_sample.tgz") as tar:
        file = tar.extractfile("imdb_sample/texts.csv")
        assert file is not None
        return [
            row["text"] for row in csv.DictReader(io.StringIO(file.read().decode(), newline=""))
        ]


def agreement(theirs: list[list[str]], ours: list[list[str]]) -> tuple[int, int, Counter[str]]:
    """Positions of the reference that agree after alignment, all of them, kinds of difference."""
    same, total, kinds = 0, 0, Counter[str]()
    for a, b in zip(theirs, ours, strict=True):
        total += max(len(a), len(b))
        if a == b:
            same += len(a)
            continue
        for kind, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
            if kind == "equal":
                same += j - i
            else:
                before, after = " ".join(a[max(i - 3, 0) : i]), " ".join(a[j : j + 3])
                kinds[f"`{before} [{' '.join(a[i:j])} → {' '.join(b[k:m])}] {after}`"] += 1
    return same, total, kinds


def main() -> None:
    """Measure, print and write results.md and results.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mirror", type=Path, help="folder with the two archives")
    parser.add_argument("--fastai-python", required=True, help="python with fastai installed")
    parser.add_argument("--sample", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3, help="runs of the sample, by turns")
    options = parser.parse_args()
    archive = options.mirror / "aclImdb_v1.tar.gz"
    ours = [sys.executable, str(HERE / "ours.py")]
    theirs = [options.fastai_python, str(HERE / "theirs.py")]
    workers = ["--workers", str(options.workers)]

    with tempfile.TemporaryDirectory() as folder:
        texts, a, b = (Path(folder) / name for name in ("texts.json", "a.json", "b.json"))

        texts.write_text(json.dumps(lesson_texts(options.mirror)))
        measured([*theirs, str(texts), *workers, "--save-tokens", str(a)])
        measured([*ours, str(texts), *workers, "--save-tokens", str(b)])
        same, total, kinds = agreement(json.loads(a.read_text()), json.loads(b.read_text()))

        every = list(reviews(archive))
        texts.write_text(json.dumps(every[:: max(1, len(every) // options.sample)]))
        del every
        turns = [
            (
                measured([*theirs, str(texts), *workers, "--save-tokens", str(a)]),
                measured([*ours, str(texts), *workers, "--save-tokens", str(b)]),
            )
            for _ in range(options.turns)
        ]
        sample_theirs, sample_ours = (
            min(runs, key=lambda run: run["seconds"]) for runs in zip(*turns, strict=True)
        )
        same_10k, total_10k, kinds_10k = agreement(
            json.loads(a.read_text()), json.loads(b.read_text())
        )
    full = measured([*ours, str(archive), *workers])
    alone = measured([*ours, str(archive), "--workers", "1"])

    rate_theirs = sample_theirs["tokens"] / sample_theirs["seconds"]
    rate_sample = sample_ours["tokens"] / sample_ours["seconds"]
    rate_full = full["tokens"] / full["seconds"]
    identical = all(full[key] == alone[key] for key in ("tokens_sha256", "corpus_sha256"))
    lines = [
        "# Results",
        "",
        f"Written by `compare.py` on {machine()}; Python {platform.python_version()}, fastai "
        f"{sample_theirs['fastai']} and spaCy {sample_theirs['spacy']} on their side.",
        "",
        "## Agreement",
        "",
        f"- the lesson's 1,000 reviews: {same:,} of {total:,} positions, **{same / total:.4%}**",
        f"- {sample_ours['documents']:,} reviews of aclImdb: {same_10k:,} of {total_10k:,}, "
        f"{same_10k / total_10k:.4%}",
        "",
        f"Every difference in the lesson's reviews (theirs → ours): {sum(kinds.values())}",
        "",
        *(f"- {count} × {kind}" for kind, count in kinds.most_common()),
        "",
        f"Differences in the sample of aclImdb: {sum(kinds_10k.values())}, the first ones:",
        "",
        *(f"- {count} × {kind}" for kind, count in kinds_10k.most_common(12)),
        "",
        "## Rate, texts to word ids",
        "",
        "| | documents | tokens | seconds | tokens/s | peak memory (sum of RSS) |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {run['documents']:,} | {run['tokens']:,} | {run['seconds']:.1f} | "
            f"{run['tokens'] / run['seconds']:,.0f} | {run['peak_rss_gb']:.2f} GB |"
            for name, run in (
                (f"fastai, {options.workers} workers", sample_theirs),
                (f"gradual, {options.workers} workers", sample_ours),
                (f"gradual, all of aclImdb, {options.workers} workers", full),
                ("gradual, all of aclImdb, 1 worker", alone),
            )
        ),
        "",
        f"On all of aclImdb, one run, **{rate_full / rate_theirs:.1f} × fastai's** rate on the "
        f"sample; on the same sample {rate_sample / rate_theirs:.1f} ×, the best of "
        f"{options.turns} runs by turns. From texts in memory: reading the archive took another "
        f"{full['seconds_read']:.1f} s.",
        "",
        f"Tokens and ids of {options.workers} workers and of 1 worker are "
        f"**{'identical' if identical else 'DIFFERENT'}** (sha256 of the ids "
        f"{full['corpus_sha256'][:16]}).",
        "",
    ]
    text = "\n".join(line.replace("\n", "↵") for line in lines) + ""
    print(text)
    (HERE / "results.md").write_text(text)
    everything = {
        "machine": machine(),
        "agreement": {"lesson": same / total, "sample": same_10k / total_10k},
        "fastai": sample_theirs,
        "sample": sample_ours,
        "full": full,
        "full_one_worker": alone,
        "identical": identical,
    }
    (HERE / "results.json").write_text(json.dumps(everything, indent=2) + "\n")


if __name__ == "__main__":
    main()
