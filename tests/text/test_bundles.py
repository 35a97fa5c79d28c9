"""What a bundle may make run: nothing but built-in rules and those that its reader has named."""

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.bundles import tokenizer_of
from gradual.text.classifier import ClassifierConfig, TextClassifier, train_classifier
from gradual.text.corpus import numericalize
from gradual.text.ensemble import TextEnsemble
from gradual.text.generation import GenerationConfig, write_texts
from gradual.text.language_model import LanguageModelConfig, train_language_model
from gradual.text.rules import DEFAULT_RULES
from gradual.text.tokenizer import TokenizerConfig, tokenize
from gradual.text.vocabulary import VocabularyConfig, build_vocabulary
from gradual.training.bundle import Bundle, load_bundle, save_bundle
from gradual.training.config import Phase, TrainingConfig

SIZES = AWDLSTMConfig(4, 4, 1)
TRAINING = TrainingConfig(phases=(Phase(epochs=1, lr=1e-3),), device="cpu", precision="float32")
TEXTS = ["a fine film", "a dull film"] * 20
VALID = np.arange(40) >= 32


@pytest.fixture(scope="module")
def bundles() -> dict[str, Bundle]:
    config = TokenizerConfig(workers=1)
    tokens = tokenize([TEXTS], config)
    vocabulary = build_vocabulary(tokens, ~VALID, VocabularyConfig(min_frequency=1))
    corpus, tokenizer = numericalize(tokens, vocabulary), dataclasses.asdict(config)
    language, _ = train_language_model(
        corpus, vocabulary, VALID, LanguageModelConfig(SIZES, TRAINING, 2, 4), tokenizer=tokenizer
    )
    labels = np.array(["good", "bad"] * 20, dtype=object)
    classifier, _ = train_classifier(
        *(corpus, vocabulary, labels, ~VALID, VALID, ClassifierConfig(SIZES, TRAINING)),
        language_model=language, tokenizer=tokenizer,
    )  # fmt: skip
    return {"language_model": language, "text_classifier": classifier}


def naming(bundle: Bundle, path: Path, **rules: tuple[str, ...]) -> Bundle:
    """The bundle as one could be downloaded whose tokenizer names these rules."""
    metadata = json.loads(json.dumps(bundle.metadata))
    metadata["tokenizer"] |= {kind: list(names) for kind, names in rules.items()}
    save_bundle(dataclasses.replace(bundle, metadata=metadata), path)
    return load_bundle(path)


USES: dict[str, tuple[str, Callable[[Bundle], object]]] = {
    "classifier": ("text_classifier", TextClassifier.from_bundle),
    "ensemble": ("text_classifier", lambda bundle: TextEnsemble.from_bundles([bundle, bundle])),
    "generation": ("language_model", lambda bundle: write_texts(bundle, GenerationConfig())),
    "a second classifier": ("language_model", tokenizer_of),
}


@pytest.mark.parametrize("kind", ["rules", "token_rules"])
@pytest.mark.parametrize("use", USES)
def test_a_bundle_that_names_a_function_to_run_is_refused(
    bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str, kind: str
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(subprocess, "getoutput", calls.append)
    name, apply = USES[use]
    bundle = naming(bundles[name], tmp_path / "m", **{kind: ("subprocess:getoutput",)})
    with pytest.raises(ValueError, match=f"'subprocess:getoutput' among its tokenizer's {kind}"):
        apply(bundle)
    assert not calls


def test_a_rule_that_the_reader_names_may_run(
    bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "house_rules.py").write_text("def calm(text):\n    return text.replace('!', '')\n")
    monkeypatch.syspath_prepend(tmp_path)
    rules = (*DEFAULT_RULES, "house_rules:calm")
    bundle = naming(bundles["text_classifier"], tmp_path / "m", rules=rules)
    own = TextClassifier.from_bundle(bundle, allowed_rules=TokenizerConfig(rules=rules).all_rules)
    loud, calm = own.predict(["a fine film!!"]), own.predict(["a fine film"])
    assert loud.equals(calm)
