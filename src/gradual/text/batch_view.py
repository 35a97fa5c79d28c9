"""What the models will see, for people: token views with their marks."""

from collections.abc import Iterable
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from gradual.reports.page import Note, Section, Table, Warning, html_page
from gradual.text.corpus import Corpus
from gradual.text.detokenize import NO_BLANKS
from gradual.text.labels import as_array, label_texts
from gradual.text.rules import SPECIAL_TOKENS, UNK
from gradual.text.subwords import BLANK, Unit
from gradual.text.vocabulary import Vocabulary


def show_batch(
    corpus: Corpus,
    vocabulary: Vocabulary,
    labels: Iterable[Any] | None = None,
    *,
    batch_size: int = 64,
    rows: int = 4,
    words: int = 70,
    seed: int = 42,
    unit: Unit = "word",
    language_model: bool = True,
) -> tuple[pd.DataFrame, str]:
    """Show some of what the language model and the classifier will read.

    Args:
        corpus: All documents.
        vocabulary: The vocabulary they were numericalized with.
        labels: Label, or list of labels, of each document, None where none is known; no classifier
            view if None.
        batch_size: Rows into which the language model cuts the joined documents.
        rows: How many rows, and how many documents, to show.
        words: Tokens to show of each.
        seed: Of the documents' order.
        unit: What the tokens are.
        language_model: Whether to show what a language model reads; else only the classifier's.

    Returns:
        A table with the columns model, label, text and target (tokens joined with blanks, those
        smaller than words without; target is the text one step later), and the same as a
        self-contained HTML page, with special tokens and unknown words (`xxunk`) marked.

    Raises:
        ValueError: The corpus is empty, belongs to another vocabulary, or has not one label each.
    """
    if corpus.vocabulary_hash != vocabulary.hash:
        raise ValueError(
            f"the corpus was numericalized with vocabulary {corpus.vocabulary_hash[:12]}, this is "
            f"{vocabulary.hash[:12]}: numericalize anew, or take the vocabulary that belongs to it"
        )
    if len(corpus.ids) < 2:
        raise ValueError("the corpus holds fewer than two tokens: there is nothing to show")
    order = np.random.default_rng(seed).permutation(len(corpus))
    views: list[tuple[str, str | None, list[str], list[str] | None]] = []
    read = _language_model_rows(corpus, order, batch_size, words)[:rows] if language_model else []
    for ids in read:
        seen = [vocabulary.words[i] for i in ids]
        views.append(("language model", None, seen[:-1], seen[1:]))
    if labels is not None:
        known = label_texts(as_array(list(labels)))
        if len(known) != len(corpus):
            raise ValueError(
                f"there are {len(known):,} labels for {len(corpus):,} documents: give one each, "
                "None where there is none"
            )
        for i in [i for i in order if known[i] is not None][:rows]:
            document = [vocabulary.words[j] for j in corpus.document(i)[:words]]
            views.append(("classifier", known[i], document, None))
    table = pd.DataFrame(
        [
            (model, label, _line(text, unit), None if target is None else _line(target, unit))
            for model, label, text, target in views
        ],
        columns=["model", "label", "text", "target"],
    )
    return table, _page(corpus, vocabulary, views, words, unit)


def _language_model_rows(
    corpus: Corpus, order: np.ndarray, batch_size: int, words: int
) -> list[np.ndarray]:
    """The first `words` + 1 ids of each row of the joined documents."""
    ends = np.cumsum(corpus.lengths[order])
    n_rows = max(1, min(batch_size, (len(corpus.ids) - 1) // words))
    row_length = (len(corpus.ids) - 1) // n_rows
    found = []
    for start in range(0, n_rows * row_length, row_length):
        first, last = np.searchsorted(ends, [start, start + words], side="right")
        ids = np.concatenate([corpus.document(int(i)) for i in order[first : last + 1]])
        skipped = start - (int(ends[first - 1]) if first else 0)
        found.append(ids[skipped : skipped + words + 1])
    return found


def _line(words: list[str], unit: Unit) -> str:
    shown = [word.replace("\n", "↵") for word in words]
    return "".join(chain.from_iterable(zip(_gaps(words, unit), shown, strict=True))).strip()


def _gaps(words: list[str], unit: Unit) -> list[str]:
    """What to write before each token: blanks part words, not characters, pieces or Han signs."""
    smaller = unit in ("character", "subword")
    gaps = [""]
    for before, word in pairwise(words):
        special = before in SPECIAL_TOKENS or word in SPECIAL_TOKENS
        joined = not special and (
            not word.startswith(BLANK)
            if smaller
            else NO_BLANKS.match(before[-1:]) and NO_BLANKS.match(word)
        )
        gaps.append("" if joined else " ")
    return gaps[: len(words)]


def _marked(words: list[str], unit: Unit) -> Markup:
    """Words as HTML, special tokens, unknown words and white space marked."""
    spans = []
    for gap, word in zip(_gaps(words, unit), words, strict=True):
        shown = escape(word.replace("\n", "↵"))
        kind = "unknown" if word == UNK else "special" if word in SPECIAL_TOKENS else ""
        kind = kind or ("blank" if not word.strip(" ▁\n\t") else "")
        # Marks have a direction of their own, so that the text's own letters decide the cell's.
        marked = Markup('<mark class="{}" dir="ltr">{}</mark>').format(kind, shown)
        spans.append(Markup(gap) + (marked if kind else shown))
    return Markup("").join(spans)


def _page(
    corpus: Corpus,
    vocabulary: Vocabulary,
    views: list[tuple[str, str | None, list[str], list[str] | None]],
    words: int,
    unit: Unit,
) -> str:
    unknown = np.count_nonzero(corpus.ids == 0) / len(corpus.ids)
    headline = (
        f"{len(corpus):,} documents, {len(corpus.ids):,} tokens, a vocabulary of "
        f"{len(vocabulary):,} words; {100 * unknown:.2f} % of the tokens are unknown to it."
    )
    key = Note("Special tokens are blue, unknown words red, white space grey.")
    backwards = Warning(
        "These models read backwards: every line runs from the end of a text to its beginning, and "
        "a special token stands after the word it speaks of."
    )
    sections = [Section("", [*([backwards] if corpus.backwards else []), key])]
    read = [view for view in views if view[0] == "language model"]
    if read:
        rows = [[_marked(text, unit), _marked(target or [], unit)] for *_, text, target in read]
        about = (
            f"The first {words} tokens of some rows of the first batch, and what is to be "
            "predicted at each: the next one."
        )
        table = Table(pd.DataFrame(rows, columns=["text", "target"], dtype=object))
        sections.append(Section("Language model", [about, table]))
    labelled = [view for view in views if view[0] == "classifier"]
    if labelled:
        documents = [(label or "", _marked(text, unit)) for _, label, text, _ in labelled]
        table = Table(pd.DataFrame(documents, columns=["label", "text"], dtype=object))
        about = f"The first {words} tokens of some documents."
        sections.append(Section("Classifier", [about, table]))
    return html_page("What the models see", headline, sections)
