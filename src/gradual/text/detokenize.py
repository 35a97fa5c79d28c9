"""Readable text from tokens."""

import re
from collections import deque
from collections.abc import Iterator, Sequence

from gradual.text.rules import (
    BOS,
    EOS,
    FLD,
    PAD,
    SPECIAL_TOKENS,
    TK_MAJ,
    TK_REP,
    TK_UP,
    TK_WREP,
)
from gradual.text.subwords import Unit, whole_words

_MOST_REPEATS = 1_000  # what a model writes after `xxrep` can be any number
_CLITICS = {"n't", "'s", "'re", "'ve", "'ll", "'d", "'m", "n’t", "’s", "’re", "’ve", "’ll", "’d"}
_JOINED = {("gon", "na"), ("got", "ta"), ("can", "not"), ("wan", "na")}
_NO_BLANK_BEFORE = set(",.!?;:)]}%…/-”’،؛؟।") | _CLITICS | {"’m"}
_NO_BLANK_AFTER = set("([{$£€#/-“‘\n")
# Scripts that write no blanks between words: Chinese, Japanese (with their signs and full-width
# forms), Thai, Lao, Burmese, Khmer.
NO_BLANKS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\uff00-\uffef"
    "\U00020000-\U0003ffff]"
)


def detokenize(words: Sequence[str], unit: Unit = "word") -> str:
    """Readable text from tokens.

    Undoes the marks `xxmaj`, `xxup`, `xxrep` and `xxwrep`, drops `xxeos`, `xxpad`, `xxbos` (an
    empty line where another text begins) and `xxfld i` (a line break between fields), writes a
    lone i, which carries no mark, as I, and spaces punctuation as in English. The exact original
    does not come back: spaCy's tokens do not say where blanks were, and `xxup` marks only the
    first token of a chunk. Marks in senseless places, which a language model may write, are
    dropped. What a backwards model reads or writes must be turned round before. No blanks are
    written beside the signs of scripts that have none between words, such as Chinese.

    Args:
        words: Tokens of a text.
        unit: What the tokens are; characters and pieces are put together to words first.
    """
    if unit in ("character", "subword"):
        words = whole_words(words, SPECIAL_TOKENS)
    text = ""
    before = "\n"  # the token before
    open_quotes: set[str] = set()
    for word in _unmarked(words):
        closing = word in open_quotes
        possessive = word == "'" and not closing and before.endswith("s")
        tight = (
            not text
            or word.isspace()
            or before in _NO_BLANK_AFTER
            or (before in open_quotes and not before.isalnum() and not closing)
            or word in _NO_BLANK_BEFORE
            or (word[:1] in _NO_BLANK_BEFORE and len(set(word)) == 1)  # !!!
            or closing
            or possessive
            or (before.lower(), word.lower()) in _JOINED
            or NO_BLANKS.match(before[-1:])
            or NO_BLANKS.match(word)
        )
        if word in ('"', "'", "''") and not possessive:
            open_quotes ^= {word}
        text = (text.rstrip(" ") if word.isspace() else text) + ("" if tight else " ") + word
        before = "\n" if word.isspace() else word
    return text.strip()


def _unmarked(words: Sequence[str]) -> Iterator[str]:
    """The tokens with their marks carried out."""
    tokens = deque(word.replace("▁", " ") for word in words if word not in (EOS, PAD))
    case = ""
    repeats, mark = 1, ""
    while tokens:
        token = tokens.popleft()
        if token in (TK_REP, TK_WREP):
            if tokens and tokens[0].isdecimal():
                mark, repeats = token, min(int(tokens.popleft()), _MOST_REPEATS)
        elif token in (TK_UP, TK_MAJ):
            case = token
        elif token == BOS:
            case, repeats, mark = "", 1, ""
            yield "\n\n"
        elif token == FLD:
            if tokens and tokens[0].isdecimal() and tokens.popleft() != "1":
                yield "\n"
        else:
            token = token.upper() if case == TK_UP or token == "i" else token
            token = token[:1].upper() + token[1:] if case == TK_MAJ else token
            yield (" " if mark == TK_WREP else "").join([token] * repeats)
            case, repeats, mark = "", 1, ""
