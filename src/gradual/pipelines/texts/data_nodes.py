"""Nodes of the text data pipeline: each calls one named thing of `gradual.text`."""

import dataclasses
import logging
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import RootModel

from gradual import tracking
from gradual.sources.reader import SourceRows
from gradual.sources.splits import Split
from gradual.text import batch_view
from gradual.text import document_splits as splits
from gradual.text import documents as texts
from gradual.text import fitting as tokenizer_fitting
from gradual.text import tokenizer as tokenizers
from gradual.text import vocabulary as words
from gradual.text.bundles import tokenizer_config, tokenizer_of, vocabulary_of
from gradual.text.classifier import ClassifierConfig
from gradual.text.corpus import Corpus
from gradual.text.corpus import numericalize as to_ids
from gradual.text.documents import DocumentsConfig
from gradual.text.language_model import LanguageModelConfig
from gradual.text.rules import UNK
from gradual.text.tokenizer import TokenizerConfig
from gradual.text.vocabulary import Vocabulary, VocabularyConfig
from gradual.training.bundle import Bundle

logger = logging.getLogger(__name__)


def read_documents(
    source: SourceRows,
    test_source: SourceRows | None,
    unlabelled_source: SourceRows | None,
    config: RootModel[DocumentsConfig],
) -> pa.Table:
    """Read texts into one `documents` table.

    Args:
        source: The labelled texts (or all of them).
        test_source: Texts to score on, all of them, or None.
        unlabelled_source: Texts that have no label, or None.
        config: Which columns hold text, label and part.

    Returns:
        One row a document: source, text column(s), label (null if unlabelled), part.
    """
    return texts.read_documents(source, config.root, unlabelled_source, test_source)


def split_documents(
    documents: pa.Table, language_model: RootModel[Split], classifier: RootModel[Split]
) -> pa.Table:
    """Choose the validation rows of the language model and of the classifier."""
    return splits.split_documents(documents, language_model.root, classifier.root)


def split_labelled_documents(documents: pa.Table, classifier: RootModel[Split]) -> pa.Table:
    """Choose the validation rows of a classifier whose language model is there already."""
    return splits.split_documents(documents, None, classifier.root)


def fit_tokenizer(
    documents: pa.Table,
    document_splits: pa.Table,
    pretrained: Bundle | None,
    documents_config: RootModel[DocumentsConfig],
    config: RootModel[TokenizerConfig],
) -> dict[str, Any]:
    """Learn pieces of words from the language model's training documents, where that is asked for.

    Returns:
        All that is needed to cut any text into tokens, as a mapping.
    """
    names = documents_config.root.text_columns
    fitted = tokenizer_fitting.fit_tokenizer(
        [documents[name] for name in names],
        pc.equal(document_splits["language_model"], "train").to_numpy(),
        config.root,
        names=names,
        pretrained=pretrained,
    )
    return dataclasses.asdict(fitted)


def tokenize_documents(
    documents: pa.Table, config: RootModel[DocumentsConfig], tokenizer: dict[str, Any]
) -> pa.Table:
    """Cut every document into tokens; the result does not depend on the number of workers."""
    names = config.root.text_columns
    columns = [documents[name] for name in names]
    tokens = tokenizers.tokenize(columns, tokenizer_config(tokenizer), names=names)
    n_tokens = pc.sum(pc.list_value_length(tokens["tokens"])).as_py()
    logger.info("%s documents hold %s tokens.", f"{tokens.num_rows:,}", f"{n_tokens:,}")
    tracking.log_metrics({"documents": tokens.num_rows, "tokens": n_tokens})
    return tokens


def build_vocabulary(
    tokens: pa.Table, document_splits: pa.Table, config: RootModel[VocabularyConfig]
) -> Vocabulary:
    """Count the words of the language model's training documents; number the frequent ones."""
    train = pc.equal(document_splits["language_model"], "train").to_numpy()
    vocabulary = words.build_vocabulary(tokens, train, config.root)
    logger.info("The vocabulary has %s words.", f"{len(vocabulary):,}")
    tracking.log_metrics({"vocabulary_size": len(vocabulary)})
    return vocabulary


def take_language(
    language_model: Bundle | None, config: RootModel[TokenizerConfig]
) -> tuple[Vocabulary, dict[str, Any]]:
    """Take the words of a language model that is there already, and its way of cutting texts.

    Args:
        language_model: The stored model.
        config: Of the source's tokenizer: what rules of its own the model may name.

    Returns:
        Vocabulary and tokenizer.

    Raises:
        ValueError: There is no language model, it does not say how it cuts texts, or names a rule
            that is neither built in nor the source's own.
    """
    if language_model is None:
        raise ValueError(
            "no language model is named for the classifier to start from: set `filepath` of the "
            "catalog entry `<source>.language_model` to one that a pipeline has stored"
        )
    tokenizer = tokenizer_of(language_model, config.root.all_rules)
    return vocabulary_of(language_model), dataclasses.asdict(tokenizer)


def numericalize(tokens: pa.Table, vocabulary: Vocabulary) -> Corpus:
    """Write every token as the number of its word, or as unknown."""
    corpus = to_ids(tokens, vocabulary)
    share = float(np.mean(corpus.ids == vocabulary.index(UNK))) if len(corpus.ids) else 0.0
    logger.info("%.2f %% of the tokens are unknown to the vocabulary.", 100 * share)
    tracking.log_metrics({"unknown_token_share": share})
    return corpus


def show_batch(
    corpus: Corpus,
    vocabulary: Vocabulary,
    documents: pa.Table,
    tokenizer: dict[str, Any],
    language_model: RootModel[LanguageModelConfig],
) -> tuple[pd.DataFrame, str]:
    """Show what the models will see, special tokens and unknown words marked.

    Returns:
        The rows as a table, and the same as an HTML page.
    """
    config = language_model.root
    size = config.batch_size
    return _shown(corpus, vocabulary, documents, tokenizer, config, batch_size=size)


def show_documents(
    corpus: Corpus,
    vocabulary: Vocabulary,
    documents: pa.Table,
    tokenizer: dict[str, Any],
    classifier: RootModel[ClassifierConfig],
) -> tuple[pd.DataFrame, str]:
    """As `show_batch`, of what a classifier on a language model that is there already will see."""
    return _shown(corpus, vocabulary, documents, tokenizer, classifier.root, language_model=False)


def _shown(
    corpus: Corpus,
    vocabulary: Vocabulary,
    documents: pa.Table,
    tokenizer: dict[str, Any],
    config: LanguageModelConfig | ClassifierConfig,
    **options: Any,
) -> tuple[pd.DataFrame, str]:
    return batch_view.show_batch(
        corpus,
        vocabulary,
        documents["label"].to_pylist(),
        words=config.bptt,
        seed=config.training.seed,
        unit=tokenizer["unit"],
        **options,
    )
