"""A small trained bundle of every kind of model, for tests."""

from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.collab.models import CollabModelConfig
from gradual.collab.ratings import RatingsSplit, split_ratings
from gradual.collab.train import CollabConfig, train_collab
from gradual.sources.splits import Split
from gradual.tabular.baselines import BaselinesConfig, fit_baseline
from gradual.tabular.date_parts import DatePartsConfig
from gradual.tabular.examples import Examples
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, fit
from gradual.tabular.serving import baseline_bundle
from gradual.tabular.targets import TargetConfig
from gradual.tabular.train import train_tabular
from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.classifier import ClassifierConfig, train_classifier
from gradual.text.corpus import numericalize
from gradual.text.ensemble import ensemble_bundle
from gradual.text.labels import encode_labels
from gradual.text.language_model import LanguageModelConfig, train_language_model
from gradual.text.ngrams import fit_ngrams
from gradual.text.stacking import served_bundle
from gradual.text.tokenizer import TokenizerConfig, tokenize
from gradual.text.vocabulary import VocabularyConfig, build_vocabulary
from gradual.training.bundle import Bundle
from gradual.training.config import Phase, TrainingConfig
from gradual.training.files import to_json_types

KINDS = (
    "text_classifier",
    "text_ensemble",
    "text_ngrams",
    "text_stack",
    "language_model",
    "tabular",
    "tabular_baseline",
    "collab",
)
STACK = {
    "served": "stack",
    "weights": {"net": 0.4, "ngrams": 0.7},
    "decision": {"abstain_below": None},
}
NET = AWDLSTMConfig(embedding_size=16, hidden_size=16, layers=1)


def same(text: str) -> str:
    """A tokenizer's rule that changes nothing."""
    return text


def training(epochs: int = 1, lr: float = 1e-2) -> TrainingConfig:
    return TrainingConfig(phases=(Phase(epochs, lr),), device="cpu", precision="float32")


@cache
def bundle_of(kind: str) -> Bundle:
    """The bundle of a kind, trained once in this process."""
    return {
        "text_classifier": classifier,
        "text_ensemble": lambda: ensemble_bundle([classifier(), classifier(backwards=True)]),
        "text_ngrams": ngrams,
        "text_stack": lambda: served_bundle(classifier(), ngrams(), STACK),
        "language_model": language_model,
        "tabular": net,
        "tabular_baseline": baseline,
        "collab": recommender,
    }[kind]()


def questions(kind: str) -> pd.DataFrame:
    """Two rows that the bundle of a kind was not trained on."""
    if kind.startswith("text"):
        return pd.DataFrame({"text": ["A fine film, really.", "Dull and far too long."]})
    if kind == "language_model":
        return pd.DataFrame({"prompt": ["A fine", ""]})
    if kind == "collab":
        return pd.DataFrame({"user": ["5", "15"], "item": ["m3", None]})
    return people().select(["job", "age", "hired"]).slice(0, 2).to_pandas()


def reviews() -> tuple[list[str], np.ndarray]:
    ends = ("", ", don't you think?", " about 3 people")
    texts = [f"A {'fine' if i % 2 else 'dull'} film{ends[i % 3]}" for i in range(48)]
    return texts, np.array(["positive" if i % 2 else "negative" for i in range(48)], dtype=object)


@cache
def ngrams() -> Bundle:
    texts, labels = reviews()
    rows = np.arange(len(texts))
    return fit_ngrams(texts, encode_labels(labels, rows, rows), rows)


@cache
def classifier(*, backwards: bool = False) -> Bundle:
    texts, labels = reviews()
    config = TokenizerConfig(workers=1, backwards=backwards)
    tokens = tokenize([texts], config)
    rows = np.ones(len(texts), bool)
    vocabulary = build_vocabulary(tokens, rows, VocabularyConfig(min_frequency=1))
    recipe = ClassifierConfig(
        model=NET, training=training(10, 3e-2), batch_size=8, head_size=8, drop_mult=0
    )
    trained, _ = train_classifier(
        numericalize(tokens, vocabulary), vocabulary, labels, rows, rows, recipe,
        language_model=None, tokenizer=to_json_types(config),
    )  # fmt: skip
    return trained


@cache
def language_model() -> Bundle:
    config = TokenizerConfig(workers=1)
    tokens = tokenize([["A fine film, really.", "Dull and far too long."] * 10], config)
    train = np.arange(20) > 3
    vocabulary = build_vocabulary(tokens, train, VocabularyConfig(min_frequency=1))
    recipe = LanguageModelConfig(model=NET, training=training(), batch_size=4)
    corpus = numericalize(tokens, vocabulary)
    trained, _ = train_language_model(
        corpus, vocabulary, ~train, recipe, tokenizer=to_json_types(config)
    )
    return trained


@cache
def people(rows: int = 400) -> pa.Table:
    random = np.random.default_rng(0)
    job = random.choice(["cook", "clerk", "pilot"], rows, p=[0.5, 0.3, 0.2])
    age = random.uniform(20, 60, rows).round()
    days = np.datetime64("2020-01-01") + random.integers(0, 900, rows)
    rich = (job == "pilot") * 25 + age + random.normal(0, 2, rows) > 50
    shown = np.where(random.random(rows) < 0.1, np.nan, age)
    return pa.table(
        {
            "job": job,
            "age": pa.array(shown, from_pandas=True),
            "hired": pa.array(days.astype(str)),
            "rich": np.where(rich, "yes", "no"),
        }
    )


@cache
def examples() -> Examples:
    columns = ColumnsConfig(categorical=("job",), continuous=("age",), dates=("hired",))
    parts = DatePartsConfig(parts=("year", "day_of_week"))
    rows = np.arange(people().num_rows)
    preprocessor = fit(people().slice(100), PreprocessingConfig(columns, date_parts=parts))
    encoded, target = preprocessor.transform(people()), TargetConfig("binary", ("rich",))
    truth = people().select(["rich"])
    return Examples(encoded, truth, rows[100:], rows[:100], preprocessor, target)


@cache
def net() -> Bundle:
    return train_tabular(examples(), TabularModelConfig(training=training(5)))[0]


@cache
def baseline() -> Bundle:
    return baseline_bundle(fit_baseline("boosting", examples(), BaselinesConfig(rounds=10)))


def rated() -> pa.Table:
    """Users 5, 15, … and items m0, m1, …; m0 to m29 are rated often, m30 to m39 once or twice."""
    random = np.random.default_rng(0)
    user, item = np.nonzero(random.random((60, 40)) < np.where(np.arange(40) < 30, 0.4, 0.03))
    taste = random.normal(0, 1, (2, 60, 40))
    score = 3.5 + taste[0, user, 0] / 2 + taste[1, 0, item] / 2
    return pa.table(
        {
            "user": user * 10 + 5,
            "item": pa.array([f"m{k}" for k in item]),
            "rating": np.clip(np.round(score * 2) / 2, 0.5, 5).astype(np.float32),
        }
    )


@cache
def recommender() -> Bundle:
    ratings = rated()
    split = RatingsSplit(valid=Split(fraction=0.2, seed=1), test=Split(fraction=0.1, seed=2))
    parts = split_ratings(ratings, split)
    config = CollabConfig(model=CollabModelConfig(factors=6), training=training(5), batch_size=16)
    trained, _ = train_collab(ratings, parts, config)
    return trained
