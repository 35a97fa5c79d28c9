"""Tokens a second of other languages and units than English words, on this machine.

    python benchmarks/tokenization/units.py /path/to/aclImdb_v1.tar.gz

English: the first 10,000 training reviews of the archive. Chinese and Hindi: texts put together
from a handful of sentences by chance, so nearly every one is new to the tokenizer's memory.
"""

import dataclasses
import random
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gradual.sources.reader import SourceFormat, open_source
from gradual.text.documents import DocumentsConfig, read_documents
from gradual.text.fitting import fit_tokenizer
from gradual.text.subwords import SubwordConfig
from gradual.text.tokenizer import TokenizerConfig, tokenize

CHINESE = "这部电影真的很好看我非常喜欢导演和演员的表演都令人难忘故事有点长但是结局让人惊喜"
HINDI = [
    "यह",
    "फ़िल्म",
    "बहुत",
    "अच्छी",
    "थी",
    "और",
    "मुझे",
    "कहानी",
    "पसंद",
    "आई",
    "लेकिन",
    "अंत",
    "थोड़ा",
    "लंबा",
    "है",
    "कलाकार",
    "कमाल",
    "के",
    "हैं",
]


def made_up(language: str, documents: int) -> list[str]:
    """Texts of about 200 words (Hindi) or 400 characters (Chinese), seed 0."""
    chance = random.Random(0)
    if language == "hi":

        def word() -> str:
            return chance.choice(HINDI) + chance.choice(["", "", "", chance.choice(HINDI)])

        return [" ".join(word() for _ in range(200)) + "।" for _ in range(documents)]
    return [
        "。".join("".join(chance.choices(CHINESE, k=20)) for _ in range(20))
        for _ in range(documents)
    ]


def main() -> None:
    """Print one line a kind."""
    config = DocumentsConfig(
        labels={"neg": "negative", "pos": "positive"},
        unlabelled=("unsup",),
    )
    form = SourceFormat(pattern="*/{part}/{label}/*.txt")
    documents = read_documents(open_source(Path(sys.argv[1]), form), config)
    english = documents["text"].slice(0, 10_000)
    everything = np.ones(len(english), bool)
    kinds: list[tuple[str, pa.ChunkedArray, TokenizerConfig]] = [
        ("en, words", english, TokenizerConfig()),
        ("en, characters", english, TokenizerConfig(unit="character")),
    ]
    for method in ("unigram", "bpe"):
        start = time.perf_counter()
        subword = TokenizerConfig(unit="subword", subwords=SubwordConfig(method=method))
        fitted = fit_tokenizer([english], everything, subword)
        seconds = time.perf_counter() - start
        print(f"en, 8,000 {method} pieces learnt in {seconds:.1f} s", flush=True)
        kinds.append((f"en, {method} subwords", english, fitted))
    for language, name in (("zh", "zh, words"), ("hi", "hi, words")):
        texts = pa.chunked_array([made_up(language, 4_000)])
        kinds.append((name, texts, TokenizerConfig(language=language)))
    for name, texts, settings in kinds:
        for workers in (1, 2):
            start = time.perf_counter()
            tokens = tokenize([texts], dataclasses.replace(settings, workers=workers))
            seconds = time.perf_counter() - start
            count = pc.sum(pc.list_value_length(tokens["tokens"])).as_py()
            print(
                f"{name}, {workers} worker(s): {count:,} tokens, {count / seconds:,.0f} a second",
                flush=True,
            )


if __name__ == "__main__":
    main()
