"""Tokens smaller than words: characters as people see them, and pieces that sentencepiece learns.

Both cut one chunk (a run without white space) at a time. The first token of a chunk begins with
`▁`, which stands for the blank before it, so that the text can be put together again.

Sources: grapheme clusters, Unicode Standard Annex 29 (by wcwidth); unigram pieces, Kudo 2018, arXiv
1804.10959; byte-pair encoding, Sennrich et al. 2016, arXiv 1508.07909 (by sentencepiece).
"""

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from gradual.training.settings import Settings

#: What becomes a token: spaCy's words, characters, pieces of words, or what stands between blanks.
Unit = Literal["word", "character", "subword", "chunk"]

#: Begins the first token of a chunk where tokens are smaller than words.
BLANK = "▁"

_LONGEST = 16_000  # bytes of a chunk that sentencepiece learns from
_NO_THREADS = 1  # sums of floats depend on their order, so on the number of threads


@dataclass(frozen=True)
class SubwordConfig(Settings):
    """How sentencepiece learns pieces.

    Attributes:
        method: `unigram` or `bpe` (byte-pair encoding).
        size: Pieces to learn, at most; a small text gives fewer. The vocabulary is then counted as
            for words, so its `min_frequency` holds for pieces too.
        character_coverage: Share of the text's characters that pieces are made of; the rest,
            the rarest ones, become `xxunk` unless the vocabulary has them. Less than 1 for
            scripts with thousands of characters.
    """

    method: Literal["unigram", "bpe"] = "unigram"
    size: int = 8_000
    character_coverage: float = 0.9995

    def __post_init__(self) -> None:
        if self.method not in ("unigram", "bpe"):
            raise ValueError(f"method is {self.method!r}: use unigram or bpe")
        if self.size < 16:
            raise ValueError(f"size is {self.size}: learn at least 16 pieces; 8000 is usual")
        if not 0.9 <= self.character_coverage <= 1:
            raise ValueError(
                f"character_coverage is {self.character_coverage}: give a share from 0.9 to 1"
            )


def learn_pieces(chunks: Sequence[str], counts: Iterable[int], config: SubwordConfig) -> str:
    """Learn the pieces of words from how often each chunk occurs.

    Args:
        chunks: Distinct chunks, without the special tokens.
        counts: Occurrences of each.
        config: Method, size, coverage.

    Returns:
        sentencepiece's model in base64: equal chunks and counts give equal models.

    Raises:
        ValueError: There is nothing to learn from, or sentencepiece cannot.
    """
    import sentencepiece

    counted = sorted(zip(chunks, counts, strict=True), key=lambda pair: (-pair[1], pair[0]))
    lines = (f"{chunk}\t{count}" for chunk, count in counted if count and "\t" not in chunk)
    model = io.BytesIO()
    if not any(count for _, count in counted):
        raise ValueError(
            "there are no words to learn pieces from: the split leaves no training text; check the "
            "split's parameters"
        )
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model,
            input_format="tsv",
            model_type=config.method,
            vocab_size=config.size,
            hard_vocab_limit=False,
            character_coverage=config.character_coverage,
            max_sentence_length=_LONGEST,
            # The rules have done what is to be done, and marks and vocabulary are ours.
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            bos_id=-1,
            eos_id=-1,
            num_threads=_NO_THREADS,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise ValueError(
            f"sentencepiece cannot learn {config.size} pieces from {len(counted):,} words "
            f"({str(error).splitlines()[0]}): set subwords.size to what it asks for, or give more "
            "text"
        ) from error
    return base64.b64encode(model.getvalue()).decode("ascii")


def piece_cutter(model: str) -> Callable[[str], list[str]]:
    """Return the function that cuts a chunk into pieces.

    Args:
        model: What `learn_pieces` returned.

    Raises:
        ValueError: `model` is something else.
    """
    import sentencepiece

    try:
        processor = sentencepiece.SentencePieceProcessor(
            model_proto=base64.b64decode(model, validate=True)
        )
    except (RuntimeError, ValueError) as error:  # the latter is base64's
        raise ValueError(
            "tokenizer.subword_model is no sentencepiece model in base64: leave it out and let "
            f"the pipeline learn it ({str(error).splitlines()[0]})"
        ) from error
    return lambda chunk: processor.encode(chunk, out_type=str)


def characters(chunk: str) -> list[str]:
    """Cut a chunk into what readers take for characters, a `▁` first.

    An emoji with its skin tone, a flag or a family of several emoji joined together is one, and so
    is a letter with its accents or vowel signs (extended grapheme clusters).
    """
    if chunk.isascii():
        return [BLANK, *chunk]
    from wcwidth import iter_graphemes

    return [BLANK, *iter_graphemes(chunk)]


def whole_words(tokens: Iterable[str], apart: Iterable[str]) -> list[str]:
    """Put characters or pieces together to the chunks they were cut from.

    Args:
        tokens: Tokens of a document, in reading order.
        apart: Tokens that are no part of a word: special ones.
    """
    apart = frozenset(apart)
    words: list[str] = []
    within = False
    for token in tokens:
        whole = token in apart or token.isspace()
        if whole or not within or token.startswith(BLANK):
            words.append(token if whole else token.removeprefix(BLANK))
            within = not whole
        else:
            words[-1] += token
    return [word for word in words if word]
