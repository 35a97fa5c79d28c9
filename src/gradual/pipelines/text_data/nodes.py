"""Nodes of the text data pipeline: each calls one named thing of `gradual.text`."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import RootModel

from gradual import text, tracking
from gradual.splits import Split
from gradual.text.corpus import Corpus
from gradual.text.documents import DocumentsConfig
from gradual.text.tokenizer import TokenizerConfig
from gradual.text.vocabulary import Vocabulary, VocabularyConfig

logger = logging.getLogger(__name__)


def read_documents(
    source: Path, unlabelled_source: Path | None, config: RootModel[DocumentsConfig]
) -> pa.Table:
    """Read a table of texts or an archive of text files into one `documents` table.

    Args:
        source: The verified file with the labelled texts (or all of them).
        unlabelled_source: A second file with texts that have no label, or None.
        config: Which columns or folders hold text, label and part.

    Returns:
        One row a document: source, text column(s), label (null if unlabelled), part.
    """
    return text.documents.read_documents(source, config.root, unlabelled_source)


def split_documents(
    documents: pa.Table, language_model: RootModel[Split], classifier: RootModel[Split]
) -> pa.Table:
    """Choose the validation rows of the language model and of the classifier."""
    return text.documents.split_documents(documents, language_model.root, classifier.root)


def tokenize_documents(
    documents: pa.Table, config: RootModel[DocumentsConfig], tokenizer: RootModel[TokenizerConfig]
) -> pa.Table:
    """Cut every document into tokens; the result does not depend on the number of workers."""
    columns = [documents[name] for name in config.root.text_columns]
    tokens = text.tokenizer.tokenize(columns, tokenizer.root)
    n_tokens = pc.sum(pc.list_value_length(tokens["tokens"])).as_py()
    logger.info("%s documents, %s tokens", f"{tokens.num_rows:,}", f"{n_tokens:,}")
    tracking.log_metrics({"documents": tokens.num_rows, "tokens": n_tokens})
    return tokens
