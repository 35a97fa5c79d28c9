"""Our side of the comparison: texts to word ids, in a process of its own. Prints one JSON line."""

import argparse
import hashlib
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from gradual.text.corpus import numericalize
from gradual.text.tokenizer import TokenizerConfig, tokenize
from gradual.text.vocabulary import build_vocabulary


def reviews(archive: Path) -> Iterator[str]:
    """The texts of aclImdb in archive order, streamed."""
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(".txt") and member.name.count("/") == 3:
                file = tar.extractfile(member)
                assert file is not None
                yield file.read().decode()


def main() -> None:
    """Tokenize, count words and numericalize; measure; say what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("texts", type=Path, help="aclImdb_v1.tar.gz, or a JSON list of texts")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--save-tokens", type=Path, help="where to write the tokens as JSON")
    options = parser.parse_args()

    start = time.perf_counter()
    from_archive = options.texts.suffix == ".gz"
    texts = pa.chunked_array(
        [
            pa.array(
                reviews(options.texts) if from_archive else json.loads(options.texts.read_text())
            )
        ]
    )
    read = time.perf_counter()
    tokens = tokenize([texts], TokenizerConfig(workers=options.workers))
    tokenized = time.perf_counter()
    vocabulary = build_vocabulary(tokens, np.ones(len(texts), bool))
    corpus = numericalize(tokens, vocabulary)
    done = time.perf_counter()

    everything = hashlib.sha256()
    for chunk in tokens["tokens"].chunks:
        everything.update(chunk.values.indices.to_numpy().data)
    everything.update("\n".join(chunk.values.dictionary.to_pylist()).encode())
    if options.save_tokens:
        options.save_tokens.write_text(json.dumps(tokens["tokens"].to_pylist()))
    figures = {
        "workers": options.workers,
        "documents": len(texts),
        "characters": sum(len(text.as_py()) for text in texts),
        "tokens": len(corpus.ids),
        "vocabulary": len(vocabulary),
        "seconds_read": read - start,
        "seconds_tokenize": tokenized - read,
        "seconds_numericalize": done - tokenized,
        "seconds": done - read,
        "tokens_sha256": everything.hexdigest(),
        "corpus_sha256": corpus.hash,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
