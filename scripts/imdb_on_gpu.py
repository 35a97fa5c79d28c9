"""The IMDB recipe of ULMFiT on one GPU, in slices of a few minutes that continue each other.

    # Here, with the whole project installed: reviews to one file of at most 60 MB.
    python scripts/imdb_on_gpu.py prepare aclImdb_v1.tar.gz imdb_corpus.arrow

    # There, with this repository's src/, that file, torch, numpy, pandas, pyarrow and safetensors.
    python scripts/imdb_on_gpu.py benchmark
    python scripts/imdb_on_gpu.py train imdb_corpus.arrow work --slice-minutes 9
    python scripts/imdb_on_gpu.py train imdb_corpus.arrow work --direction backward
    python scripts/imdb_on_gpu.py ensemble imdb_corpus.arrow work

`train` ends with status 75 where something is left: run the same command again until it is 0. See
docs/gpu.md.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import json
import logging
import math
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))  # runs uninstalled too

from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.classifier import (
    ClassifierConfig,
    classifier_task,
    predict_probabilities,
    train_classifier,
)
from gradual.text.classifier_model import DEFAULT_CLASSIFIER_PHASES
from gradual.text.corpus import Corpus
from gradual.text.language_model import (
    DEFAULT_LANGUAGE_MODEL_PHASES,
    LanguageModelConfig,
    evaluate_language_model,
    language_model_task,
    train_language_model,
)
from gradual.text.softmax import linear_cross_entropy
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle, load_bundle, save_bundle
from gradual.training.checkpoint import Checkpoint, CheckpointStore
from gradual.training.config import Phase, TrainingConfig
from gradual.training.device import autocast, resolve_device, resolve_precision
from gradual.training.files import atomic_path
from gradual.training.task import Task

logger = logging.getLogger("imdb_on_gpu")

NOT_FINISHED = 75  # "temporary failure, try again" of sysexits.h
FORMAT = b"gradual-imdb-1"
DIRECTIONS = ("forward", "backward")


# ------------------------------------------------------------------------------------- recipes


def recipe(size: str, checkpoint_seconds: float) -> tuple[LanguageModelConfig, ClassifierConfig]:
    """Return the configurations of both models.

    Args:
        size: `full` is `conf/full`; `small` the same phases with a model and batches for a trial
            on a CPU.
        checkpoint_seconds: Time between two checkpoints.
    """

    def training(phases: tuple[Phase, ...]) -> TrainingConfig:
        return TrainingConfig(phases=phases, checkpoint_seconds=checkpoint_seconds)

    language_model = LanguageModelConfig(
        training=dataclasses.replace(
            training(DEFAULT_LANGUAGE_MODEL_PHASES), eps=1e-8, gradient_clip=1.0
        ),
        batch_size=128,
        bptt=72,
    )
    classifier = ClassifierConfig(
        training=training(DEFAULT_CLASSIFIER_PHASES), batch_size=128, bptt=72
    )
    if size == "full":
        return language_model, classifier

    def small(model: AWDLSTMConfig) -> AWDLSTMConfig:
        return dataclasses.replace(model, embedding_size=24, hidden_size=32, layers=3)

    return (
        dataclasses.replace(
            language_model, model=small(language_model.model), batch_size=16, bptt=40
        ),
        dataclasses.replace(classifier, model=small(classifier.model), batch_size=16, bptt=40),
    )


# --------------------------------------------------------------------------------------- corpus


@dataclasses.dataclass(frozen=True)
class Data:
    """All that training needs of the reviews.

    Attributes:
        corpus: Word ids of all reviews, in the direction asked for.
        vocabulary: What they mean.
        tokenizer: The tokenizer's configuration.
        labels: Each review's label, None where it has none.
        language_model: "train" or "valid" of each review.
        classifier: "train", "valid", "test" or None of each review.
    """

    corpus: Corpus
    vocabulary: Vocabulary
    tokenizer: dict[str, Any]
    labels: np.ndarray
    language_model: np.ndarray
    classifier: np.ndarray


def prepare(source: Path, target: Path, documents_limit: int | None) -> None:
    """Turn reviews into one compact file.

    The file is Arrow IPC, compressed with zstd. Word ids stand in two columns, their low and their
    high bytes, because each of them compresses better alone: ids are ordered by frequency, so most
    high bytes are 0.

    Args:
        source: The archive aclImdb_v1.tar.gz, or a table with the lesson's columns (label, text,
            is_valid).
        target: The file to write.
        documents_limit: At most so many reviews, evenly spread; None for all. For trials.
    """
    from gradual.sources.reader import SourceFormat, open_source
    from gradual.sources.splits import Split
    from gradual.text.corpus import numericalize
    from gradual.text.document_splits import split_documents
    from gradual.text.documents import DocumentsConfig, read_documents
    from gradual.text.tokenizer import TokenizerConfig, tokenize
    from gradual.text.vocabulary import build_vocabulary

    form = SourceFormat()
    if source.suffix == ".csv":
        config = DocumentsConfig(split_column="is_valid", parts={"False": "train", "True": "test"})
    else:
        names: dict[str | int, str] = {"neg": "negative", "pos": "positive"}
        config = DocumentsConfig(labels=names, unlabelled=("unsup",))
        form = SourceFormat(pattern="*/{part}/{label}/*.txt")
    documents = read_documents(open_source(source, form), config)
    if documents_limit is not None:
        count = min(documents_limit, len(documents))
        documents = documents.take(np.linspace(0, len(documents) - 1, count).astype(np.int64))
    splits = split_documents(documents, Split(), Split(stratify="label"))
    tokenizer = TokenizerConfig()
    tokens = tokenize([documents["text"]], tokenizer, names=["text"])
    train = np.array(splits["language_model"].to_pylist()) == "train"
    vocabulary = build_vocabulary(tokens, train)
    corpus = numericalize(tokens, vocabulary)
    if corpus.ids.dtype != np.uint16:
        raise ValueError(f"the vocabulary has {len(vocabulary):,} words: two bytes hold 65,536")

    offsets = pa.array(corpus.offsets)
    halves = np.ascontiguousarray(corpus.ids.astype("<u2")).view(np.uint8).reshape(-1, 2)
    columns = {
        name: pa.LargeListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(halves[:, i])))
        for i, name in enumerate(("low", "high"))
    }
    columns |= {name: splits[name].combine_chunks() for name in splits.column_names}
    columns["label"] = documents["label"].combine_chunks().cast(pa.string())
    metadata = {
        "format": FORMAT,
        "vocabulary": json.dumps(vocabulary.to_json(), ensure_ascii=False),
        "tokenizer": json.dumps(dataclasses.asdict(tokenizer)),
    }
    # The metadata of a schema is not compressed: a column of one text instead would be no smaller.
    table = pa.table(columns).replace_schema_metadata(metadata)
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=19))
    with atomic_path(target) as path, pa.ipc.new_file(path, table.schema, options=options) as file:
        file.write_table(table)
    print(
        f"{target}: {len(corpus):,} reviews, {len(corpus.ids):,} tokens, "
        f"{len(vocabulary):,} words, {target.stat().st_size / 1e6:.1f} MB"
    )


def read(path: Path, direction: str) -> Data:
    """Read what `prepare` wrote.

    Raises:
        ValueError: It is another file.
    """
    with pa.memory_map(str(path)) as source:
        try:
            table = pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} is no corpus ({error}): make it with prepare") from error
    metadata = table.schema.metadata or {}
    if metadata.get(b"format") != FORMAT:
        raise ValueError(f"{path} is no corpus of this script: make it with prepare")
    vocabulary = Vocabulary.from_json(json.loads(metadata[b"vocabulary"]))
    low, high = (table[name].combine_chunks() for name in ("low", "high"))
    offsets = low.offsets.to_numpy()
    ids = low.values.to_numpy().astype(np.uint16) | (high.values.to_numpy().astype(np.uint16) << 8)
    backwards = direction == "backward"
    if backwards:  # each document turned round: position p of one takes what stands at its mirror
        mirror = np.repeat(offsets[:-1] + offsets[1:] - 1, np.diff(offsets))
        ids = ids[mirror - np.arange(len(ids))]
    columns = {
        name: np.array(table[name].to_pylist(), object)
        for name in ("label", "language_model", "classifier")
    }
    return Data(
        corpus=Corpus(ids, offsets, vocabulary.hash, backwards),
        vocabulary=vocabulary,
        tokenizer=json.loads(metadata[b"tokenizer"]) | {"backwards": backwards},
        labels=columns["label"],
        language_model=columns["language_model"],
        classifier=columns["classifier"],
    )


# ------------------------------------------------------------------------------------- training


class SliceEndedError(Exception):
    """The slice's time is up; what was done is in the checkpoint."""


class SlicedStore(CheckpointStore):
    """A checkpoint store that ends the run at the first checkpoint after a point in time.

    Args:
        path: The folder.
        end: In seconds of `time.monotonic`.
        name: Of the stage, for the message.
    """

    def __init__(self, path: Path, end: float, name: str) -> None:
        super().__init__(path)
        self._end, self._name = end, name

    def save(self, checkpoint: Checkpoint) -> None:
        """Save, then end the run if it is time."""
        super().save(checkpoint)
        if time.monotonic() >= self._end and not checkpoint.finished:
            phases = checkpoint.key["training"]["phases"]
            epochs = sum(phase["epochs"] for phase in phases)
            position = checkpoint.position
            raise SliceEndedError(
                f"{self._name}: {position.epoch} of {epochs} epochs and {position.step} steps are "
                "done and stored"
            )


class Slice:
    """One run of `train`: what is there is loaded, what is not is made, until the time is up.

    Args:
        data: Of one direction.
        folder: Where that direction's results are kept.
        size: Of the recipe.
        end: When the run should have ended, in seconds of `time.monotonic`.
        checkpoint_seconds: Time between two checkpoints, and the reserve at the slice's end.
        device: "auto" or a torch device.
    """

    def __init__(
        self,
        data: Data,
        folder: Path,
        size: str,
        end: float,
        checkpoint_seconds: float,
        device: str,
    ) -> None:
        self.data, self.folder, self.device = data, folder, device
        self.end = end - 1.5 * checkpoint_seconds
        self.configs = [
            dataclasses.replace(
                config, training=dataclasses.replace(config.training, device=device)
            )
            for config in recipe(size, checkpoint_seconds)
        ]
        folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> dict[str, Any]:
        """Do what is left, in order.

        Returns:
            The direction's results.

        Raises:
            SliceEndedError: The time is up before all is done.
        """
        language_model = self._language_model()
        classifier = self._classifier(language_model)
        return self._test(language_model, classifier)

    def _store(self, name: str) -> SlicedStore:
        return SlicedStore(self.folder / f"{name}_checkpoints", self.end, name.replace("_", " "))

    def _keep(self, name: str, bundle: Bundle, epochs: Any) -> Bundle:
        """Store a trained model and its curve; its checkpoints have done their work."""
        with atomic_path(self.folder / f"{name}_history.json") as path:
            path.write_text(json.dumps(epochs, indent=1) + "\n")
        save_bundle(bundle, self.folder / f"{name}.safetensors")
        self._store(name).delete()
        return bundle

    def _language_model(self) -> Bundle:
        path = self.folder / "language_model.safetensors"
        if path.exists():
            return load_bundle(path)
        bundle, history = train_language_model(
            self.data.corpus,
            self.data.vocabulary,
            self.data.language_model == "valid",
            self.configs[0],  # type: ignore[arg-type]
            tokenizer=self.data.tokenizer,
            store=self._store("language_model"),
        )
        return self._keep("language_model", bundle, history.epochs)

    def _classifier(self, language_model: Bundle) -> Bundle:
        path = self.folder / "classifier.safetensors"
        if path.exists():
            return load_bundle(path)
        bundle, history = train_classifier(
            self.data.corpus,
            self.data.vocabulary,
            self.data.labels,
            self.data.classifier == "train",
            self.data.classifier == "valid",
            self.configs[1],  # type: ignore[arg-type]
            language_model=language_model,
            tokenizer=self.data.tokenizer,
            store=self._store("classifier"),
        )
        return self._keep("classifier", bundle, history.epochs)

    def _test(self, language_model: Bundle, classifier: Bundle) -> dict[str, Any]:
        path = self.folder / "results.json"
        if path.exists():
            results: dict[str, Any] = json.loads(path.read_text())
            return results
        data = self.data
        valid = data.language_model == "valid"
        figures = evaluate_language_model(language_model, data.corpus, valid, device=self.device)
        rows = data.classifier == "test"
        probabilities = predict_probabilities(classifier, data.corpus, rows, device=self.device)
        results = {
            "language_model": figures,
            "test": accuracy(probabilities, classifier.metadata["labels"], data.labels[rows]),
            "labels": classifier.metadata["labels"],
            "torch": torch.__version__,
            "device": device_name(resolve_device(self.device)),
        }
        with atomic_path(self.folder / "probabilities.npy") as target, target.open("wb") as file:
            np.save(file, probabilities, allow_pickle=False)
        with atomic_path(path) as target:
            target.write_text(json.dumps(results, indent=1) + "\n")
        return results


def accuracy(probabilities: np.ndarray, labels: list[str], truth: np.ndarray) -> dict[str, Any]:
    """Return accuracy with Wilson's 95 % interval, and the number of rows."""
    hits = np.array(labels, object)[probabilities.argmax(1)] == truth
    n, p = len(hits), float(hits.mean())
    z = NormalDist().inv_cdf(0.975)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return {"accuracy": p, "interval": [middle - half, middle + half], "rows": n}


def ensemble(data: Data, work: Path) -> dict[str, Any]:
    """Average the probabilities of both directions and score all three on the test reviews.

    Raises:
        FileNotFoundError: A direction is not finished.
    """
    truth = data.labels[data.classifier == "test"]
    probabilities, labels = [], []
    for direction in DIRECTIONS:
        path = work / direction / "results.json"
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is not there: run train with --direction {direction} until it has ended"
            )
        labels = json.loads(path.read_text())["labels"]
        probabilities.append(np.load(work / direction / "probabilities.npy", allow_pickle=False))
    scores = {
        name: accuracy(p, labels, truth) for name, p in zip(DIRECTIONS, probabilities, strict=True)
    }
    scores["ensemble"] = accuracy(sum(probabilities) / len(probabilities), labels, truth)
    with atomic_path(work / "ensemble.json") as path:
        path.write_text(json.dumps(scores, indent=1) + "\n")
    return scores


# ------------------------------------------------------------------------------------ benchmark


class Bare(nn.Module):
    """An `nn.LSTM` stack of the same sizes with the same tied softmax, and nothing else."""

    def __init__(self, vocabulary: int, config: AWDLSTMConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, config.embedding_size)
        self.layers = nn.ModuleList(nn.LSTM(i, o) for i, o in config.layer_sizes())
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def loss(self, inputs: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the cross-entropy of the next words."""
        x = self.embedding(inputs)
        for layer in self.layers:
            x, _ = layer(x)
        weight = self.embedding.weight
        return linear_cross_entropy(x.flatten(0, 1).to(dtype), weight, self.bias, targets.flatten())


def stepper(
    model: nn.Module, loss: Callable[[], Tensor], device: torch.device
) -> Callable[[], None]:
    """Return a training step: forwards, backwards, AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    dtype = resolve_precision("auto", device)

    def step() -> None:
        with autocast(device, dtype):
            value = loss()
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()

    return step


@contextlib.contextmanager
def nothing_waits(device: torch.device) -> Iterator[None]:
    """Turn a wait of the program for the GPU, or a copy of an LSTM's weights, into an error."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".*single contiguous chunk.*")
            yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.set_warn_always(False)


def seconds_a_step(
    steps: dict[str, Callable[[], None]], count: int, device: torch.device
) -> dict[str, float]:
    """Return each step's median seconds; they take turns, so that all meet the same machine."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    rounds = 5
    each = max(1, count // rounds)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()  # kernels are chosen and memory is taken in the first
    for _ in range(rounds):
        for name, step in steps.items():
            wait()
            start = time.perf_counter()
            for _ in range(each):
                step()
            wait()
            times[name].append((time.perf_counter() - start) / each)
    return {name: float(np.median(values)) for name, values in times.items()}


def benchmark(size: str, count: int, vocabulary_size: int, device_is: str) -> dict[str, Any]:
    """Time training steps beside a bare stack's and, if it is installed, fastai's."""
    device = resolve_device(device_is)
    dtype = resolve_precision("auto", device)
    lm_config, classifier_config = recipe(size, 60)
    random = np.random.default_rng(0)
    lengths = random.integers(100, 600, max(256, 4 * lm_config.batch_size))
    ids = random.integers(9, vocabulary_size, lengths.sum()).astype(np.uint16)
    words = tuple(f"w{i}" for i in range(vocabulary_size - 9))
    from gradual.text.rules import SPECIAL_TOKENS

    vocabulary = Vocabulary((*SPECIAL_TOKENS, *words), (1,) * vocabulary_size)
    corpus = Corpus(ids, np.concatenate([[0], np.cumsum(lengths)]), vocabulary.hash)
    valid = np.arange(len(lengths)) % 10 == 0

    def first_batch(task: Task) -> Any:
        task.to(device)
        task.model.train()
        return next(task.batches(0, 0).iterate(0))

    task, _ = language_model_task(corpus, vocabulary, valid, lm_config)
    batch = first_batch(task)
    inputs, targets = (t.long() for t in batch[:2])
    bare = Bare(vocabulary_size, lm_config.model).to(device)
    steps = {
        "gradual": stepper(task.model, lambda: task.loss(batch), device),
        "bare": stepper(bare, lambda: bare.loss(inputs, targets, dtype), device),
    }
    fastai = fastai_step(vocabulary_size, lm_config, inputs, targets, device)
    if fastai is None:
        print("fastai is not installed: it is left out")
    else:
        steps["fastai"] = fastai
    seconds = seconds_a_step(steps, count, device)
    tokens = inputs.numel()
    results: dict[str, Any] = {
        "device": device_name(device),
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(),
        "precision": str(dtype).removeprefix("torch."),
        "batch": list(inputs.shape),
        "tokens_per_second": {name: tokens / value for name, value in seconds.items()},
        "gradual_to_bare": seconds["bare"] / seconds["gradual"],
    }
    if fastai is not None:
        results["gradual_to_fastai"] = seconds["fastai"] / seconds["gradual"]
    if device.type == "cuda":
        results["peak_gigabytes"] = torch.cuda.max_memory_allocated(device) / 1e9

    labels = random.choice(["negative", "positive"], len(lengths)).astype(object)
    head, _ = classifier_task(corpus, vocabulary, labels, ~valid, valid, classifier_config)
    documents = first_batch(head)
    step = stepper(head.model, lambda: head.loss(documents), device)
    taken = seconds_a_step({"classifier": step}, max(1, count // 4), device)["classifier"]
    results["classifier_tokens_per_second"] = float(lengths[documents].sum() / taken)
    with nothing_waits(device):
        steps["gradual"]()
        step()
    results["waits_in_a_step"] = "none" if device.type == "cuda" else "not checked: no CUDA device"
    return results


def fastai_step(
    vocabulary_size: int,
    config: LanguageModelConfig,
    inputs: Tensor,
    targets: Tensor,
    device: torch.device,
) -> Callable[[], None] | None:
    """Return a training step of fastai's model of the same sizes; None where it is missing."""
    try:
        awd_lstm = importlib.import_module("fastai.text.models.awdlstm")
        core = importlib.import_module("fastai.text.models.core")
    except ImportError:
        return None
    sizes = {
        "emb_sz": config.model.embedding_size,
        "n_hid": config.model.hidden_size,
        "n_layers": config.model.layers,
    }
    model = core.get_language_model(
        awd_lstm.AWD_LSTM,
        vocabulary_size,
        config=awd_lstm.awd_lstm_lm_config | sizes,
        drop_mult=config.drop_mult,
    ).to(device)
    model.train()
    x, y = inputs.t().contiguous(), targets.t().contiguous()

    def loss() -> Tensor:
        decoded, raw, dropped = model(x)
        value = nn.functional.cross_entropy(decoded.flatten(0, 1).float(), y.flatten())
        value = value + config.alpha * dropped.float().pow(2).mean()
        return value + config.beta * (raw[:, 1:] - raw[:, :-1]).float().pow(2).mean()

    return stepper(model, loss, device)


def device_name(device: torch.device) -> str:
    """Return what the device is called."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()})"


# ------------------------------------------------------------------------------------------ main


def main() -> int:
    """Do what the command line says; return the exit status."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("prepare", help="reviews to one compact file")
    command.add_argument("source", type=Path, help="aclImdb_v1.tar.gz, or the lesson's texts.csv")
    command.add_argument("corpus", type=Path, help="the file to write")
    command.add_argument("--documents", type=int, help="at most so many reviews, for trials")
    command = commands.add_parser("train", help="language model, classifier, test of a direction")
    command.add_argument("corpus", type=Path)
    command.add_argument("work", type=Path, help="folder of checkpoints, models and results")
    command.add_argument("--direction", choices=DIRECTIONS, default="forward")
    command.add_argument("--slice-minutes", type=float, default=9.0)
    command.add_argument("--checkpoint-seconds", type=float, default=30.0)
    command = commands.add_parser("ensemble", help="both directions together")
    command.add_argument("corpus", type=Path)
    command.add_argument("work", type=Path)
    command = commands.add_parser("benchmark", help="training steps beside a bare stack's")
    command.add_argument("--steps", type=int, default=50)
    command.add_argument("--vocabulary", type=int, default=60_000)
    for name in ("train", "benchmark"):
        commands.choices[name].add_argument("--size", choices=("full", "small"), default="full")
        commands.choices[name].add_argument("--device", default="auto")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    if options.command == "prepare":
        prepare(options.source, options.corpus, options.documents)
    elif options.command == "ensemble":
        print(json.dumps(ensemble(read(options.corpus, "forward"), options.work), indent=1))
    elif options.command == "benchmark":
        figures = benchmark(options.size, options.steps, options.vocabulary, options.device)
        print(json.dumps(figures, indent=1))
    else:
        part = Slice(
            read(options.corpus, options.direction),
            options.work / options.direction,
            options.size,
            started + 60 * options.slice_minutes,
            options.checkpoint_seconds,
            options.device,
        )
        try:
            print(json.dumps(part.run(), indent=1))
        except SliceEndedError as ended:
            print(f"{options.direction}: not finished. {ended}. Run the same command again.")
            return NOT_FINISHED
    return 0


if __name__ == "__main__":
    sys.exit(main())
