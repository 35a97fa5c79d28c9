"""Models on texts: classifiers, ensembles of them, and language models that write."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from gradual.models.model import Model
from gradual.text.bundles import members_of, tokenizer_of
from gradual.text.generation import GenerationConfig, next_words, write_texts
from gradual.text.ngrams import KIND as NGRAMS
from gradual.text.stacking import reader_of
from gradual.training.bundle import Bundle

#: What a tokenizer imports, by what its tokens are, and by the language of its words.
_UNITS = {"word": {"spacy"}, "subword": {"sentencepiece"}, "character": {"wcwidth"}}
_LANGUAGES = {"ja": {"sudachidict-core", "sudachipy"}}

# Some ten thousands of characters are read in a second: a book is no request.
_MOST_CHARACTERS = 200_000

# A language model writes word by word: nobody is to wait for a million of them.
_MOST_WORDS = 10_000

# A word for people: signs of scripts that write no blanks stand for themselves.
_SIGNS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SIGNS}]|[^\W{_SIGNS}]+(?:['’][^\W{_SIGNS}]+)*")


def _requirements(bundle: Bundle) -> set[str]:
    if "members" in bundle.metadata:
        members = members_of(bundle, bundle.kind)
        return set().union(*map(_requirements, members))
    if bundle.kind == NGRAMS:
        return {"scikit-learn"}
    tokenizer = bundle.metadata.get("tokenizer") or {}
    unit = tokenizer.get("unit", "word")
    packages = {"spacy", "tqdm"} | _UNITS.get(unit, set())
    if unit == "word":
        packages |= _LANGUAGES.get(tokenizer.get("language", "en"), set())
    return packages


class ClassifierModel(Model):
    """A text classifier, an ensemble, n-grams or a stack: texts to `label`, `probability_<label>`.

    `label` is missing where the classifier cannot tell, and a list where a text may have several.

    `explain` leaves words out, one at a time, and says how far the probability of each given label
    (of the most probable one, where none is given) falls: `row`, `column`, `position` (of the word
    in the text, in characters), `words`, `label`, `probability` (with the word), and `fall`, which
    is positive where the word speaks for the label. A text of more words than `pieces` loses
    several neighbouring ones at a time. Source: Li, Monroe & Jurafsky 2016, "Understanding Neural
    Networks through Representation Erasure", arXiv 1612.08220.
    """

    explain_defaults = {"pieces": 100}  # noqa: RUF012
    max_characters = _MOST_CHARACTERS

    @classmethod
    def requirements(cls, bundle: Bundle) -> set[str]:
        """See `Model.requirements`."""
        return _requirements(bundle)

    def _build(self) -> None:
        self.classifier = reader_of(self.bundle, device=self._device, allowed_rules=self._allowed)

    @property
    def _columns(self) -> tuple[str, ...]:
        return self.classifier.text_columns

    @property
    def _column(self) -> str | None:
        return self._columns[0] if len(self._columns) == 1 else None

    @property
    def example(self) -> pd.DataFrame:
        """Two rows of texts."""
        texts = ["A text to find the label of.", "Another one."]
        return pd.DataFrame(dict.fromkeys(self._columns, texts))

    def _predict(self, frame: pd.DataFrame, **settings: Any) -> pd.DataFrame:
        try:
            return self.classifier.predict(frame, **settings)
        except ValueError as error:
            names = ", ".join(map(repr, self._columns))
            raise ValueError(f"{error} (the columns are {names}; rows count from 0)") from error

    def _explain(self, frame: pd.DataFrame, **settings: Any) -> pd.DataFrame:
        pieces = settings["pieces"]
        if pieces < 1:
            raise ValueError(f"pieces is {pieces}: leave out at least 1 piece of a text")
        whole = self.predict(frame)
        names = [name for name in whole.columns if name.startswith("probability_")]
        labels = [name.removeprefix("probability_") for name in names]
        full = whole[names].to_numpy(np.float64)
        told = [
            [labels.index(label) for label in label_list] or [best]
            for label_list, best in zip(map(_as_list, whole["label"]), full.argmax(1), strict=True)
        ]
        parts = [
            (row, name, start, end)
            for row in range(len(frame))
            for name in self._columns
            for start, end in _pieces(frame[name][row], pieces)
        ]
        shorter = frame[list(self._columns)].loc[[part[0] for part in parts]].reset_index(drop=True)
        for place, (row, name, start, end) in enumerate(parts):
            text = frame[name][row]
            shorter.loc[place, name] = text[:start] + text[end:]
        # A text of one word is nothing without it, which no model can be asked about.
        left = shorter.map(_has_words).any(axis=1).to_numpy()
        without = np.full((len(parts), len(names)), np.nan)
        if left.any():
            without[left] = self.predict(shorter[left])[names].to_numpy(np.float64)
        rows = [
            {
                "row": row,
                "column": name,
                "position": start,
                "words": frame[name][row][start:end],
                "label": labels[label],
                "probability": full[row, label],
                "fall": full[row, label] - without[place, label],
            }
            for place, (row, name, start, end) in enumerate(parts)
            for label in told[row]
        ]
        columns = ["row", "column", "position", "words", "label", "probability", "fall"]
        return pd.DataFrame(rows, columns=columns)


def _as_list(label: Any) -> list[str]:
    """The labels of an answer: one, several, or none where the classifier cannot tell."""
    if isinstance(label, list):
        return label
    return [] if pd.isna(label) else [label]


def _has_words(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _pieces(text: Any, most: int) -> list[tuple[int, int]]:
    """Where the words of a text stand, `most` pieces at most, of equally many words each."""
    words = [found.span() for found in _WORD.finditer(text)] if isinstance(text, str) else []
    size = -(-len(words) // most) or 1
    return [
        (words[i][0], words[min(i + size, len(words)) - 1][1]) for i in range(0, len(words), size)
    ]


class WriterModel(Model):
    """A language model: the column `prompt` to `text`, prompt and continuation.

    `explain` gives the `n` most probable next words of each prompt: `row`, `prompt`, `rank` (from
    1), `word`, `probability`.
    """

    # 0 of the likeliest words stands for all of them: MLflow's parameters cannot be null.
    defaults = {  # noqa: RUF012
        "words": GenerationConfig.words,
        "temperature": GenerationConfig.temperature,
        "min_p": GenerationConfig.min_p,
        "top_k": 0,
        "seed": GenerationConfig.seed,
    }
    explain_defaults = {"n": 10}  # noqa: RUF012
    max_characters = _MOST_CHARACTERS
    _column = "prompt"

    @classmethod
    def requirements(cls, bundle: Bundle) -> set[str]:
        """See `Model.requirements`."""
        return _requirements(bundle)

    @property
    def example(self) -> pd.DataFrame:
        """One prompt that lets the model begin."""
        return pd.DataFrame({"prompt": [""]})

    def _build(self) -> None:
        tokenizer_of(self.bundle, self._allowed)  # refuses rules that are not allowed

    def _predict(self, frame: pd.DataFrame, **settings: Any) -> pd.DataFrame:
        if settings["words"] > _MOST_WORDS:
            raise ValueError(
                f"words is {settings['words']:,}: ask for {_MOST_WORDS:,} at most, and go on from "
                "the answer"
            )
        settings["top_k"] = settings["top_k"] or None
        config = GenerationConfig(prompts=_prompts(frame), **settings)
        written = write_texts(self.bundle, config, device=self._device, allowed_rules=self._allowed)
        return pd.DataFrame({"text": [entry["text"] for entry in written]})

    def _explain(self, frame: pd.DataFrame, **settings: Any) -> pd.DataFrame:
        return next_words(
            self.bundle,
            _prompts(frame),
            **settings,
            device=self._device,
            allowed_rules=self._allowed,
        )


def _prompts(frame: pd.DataFrame) -> tuple[str, ...]:
    if "prompt" not in frame:
        raise ValueError(f"there is no column 'prompt', only {', '.join(map(repr, frame))}")
    prompts = frame["prompt"].tolist()
    wrong = [row for row, prompt in enumerate(prompts) if not isinstance(prompt, str)]
    if wrong:
        raise ValueError(
            f"column 'prompt' holds no string in {len(wrong)} of {len(prompts)} rows (row "
            f"{wrong[0]}, counted from 0, is {prompts[wrong[0]]!r}): give each row a text; an "
            "empty one lets the model begin by itself"
        )
    return tuple(prompts)
