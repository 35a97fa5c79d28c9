"""Texts to tokens: rules, a tokenizer, token rules; on all processor cores.

The tokenizer is spaCy's rule-based one of a language, or one that cuts words into characters or
into pieces (`gradual.text.subwords`).

The result is that of applying the rules in order to each whole text, tokenizing it with
`spacy.blank(language)` and applying the token rules to each token, but distinct chunks (runs
without white space) are worked out once and remembered: spaCy too cuts a text at white space
first and treats what is between alone. So rules after the last one that may look at the whole
text, spaCy and the token rules run a few times a document instead of some hundred times.

Nothing of spaCy is imported before the first text is tokenized.
"""

import logging
import multiprocessing
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import reduce
from itertools import chain
from typing import Any, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gradual.text.corpus import mark_direction
from gradual.text.rules import (
    BOS,
    DEFAULT_RULES,
    DEFAULT_TOKEN_RULES,
    EOS,
    FLD,
    RULES,
    SPECIAL_TOKENS,
    TOKEN_RULES,
    Rule,
    find_rule,
)
from gradual.text.subwords import SubwordConfig, Unit, characters, piece_cutter
from gradual.training.settings import Settings

logger = logging.getLogger(__name__)

_BATCH = 1_000  # documents; part of the result's order of words, so never a function of `workers`
_WORTH_A_POOL = 4_000_000  # characters; below that starting processes takes longer than the work
_REMEMBERED = 400_000  # chunks a process remembers at most: about 100 MB with what spaCy keeps
_LONGEST_REMEMBERED = 100  # characters
_READ_BY_KEPT = (
    4_000_000  # characters after which a kept encoder is made anew, with what it remembers
)


@dataclass(frozen=True)
class TokenizerConfig(Settings):
    """How texts become tokens.

    Attributes:
        language: A language of spaCy (`en`, `de`, `zh`, `xx` for any); of no effect where `unit`
            is not `word`.
        rules: Names of text rules (`gradual.text.rules.RULES`) or `package.module:function`, in
            the order in which they are applied.
        token_rules: The same for single tokens (`gradual.text.rules.TOKEN_RULES`).
        add_bos: Begin each document with `xxbos`.
        add_eos: End each document with `xxeos`.
        workers: Processes; None for one a processor core. The result does not depend on it.
        mark_fields: Write `xxfld i` before the text of column i; None: if there are several.
        backwards: Turn the order of each document's tokens round, marks included, so that models
            read (and write) from the end of a text to its beginning.
        unit: What becomes a token: a `word`, a `character`, a `subword` or a `chunk`, which is
            all that stands between two blanks.
        subwords: How pieces of words are learnt, for `subword`.
        subword_model: The pieces learnt; `gradual.text.fitting.fit_tokenizer` fills it in.
    """

    language: str = "en"
    rules: tuple[str, ...] = DEFAULT_RULES
    token_rules: tuple[str, ...] = DEFAULT_TOKEN_RULES
    add_bos: bool = True
    add_eos: bool = False
    workers: int | None = None
    mark_fields: bool | None = None
    backwards: bool = False
    unit: Unit = "word"
    subwords: SubwordConfig = field(default_factory=SubwordConfig)
    subword_model: str | None = None

    @property
    def all_rules(self) -> tuple[str, ...]:
        """Every rule that is named, of texts and of tokens."""
        return (*self.rules, *self.token_rules)

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ValueError(f"unit is {self.unit!r}: use {', '.join(get_args(Unit))}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(
                f"workers is {self.workers}: set it to 1 or more, or to null for one a core"
            )
        for kind, known in (("rules", RULES), ("token_rules", TOKEN_RULES)):
            for name in getattr(self, kind):
                if name not in known and ":" not in name:
                    raise ValueError(
                        f"{kind} names an unknown rule {name!r}: the known ones are "
                        f"{', '.join(known)}; write your own as package.module:function"
                    )


class _Encoded(NamedTuple):
    """The tokens of a batch of documents: codes into the words in order of first appearance."""

    codes: np.ndarray  # (n_tokens,), int32
    lengths: np.ndarray  # (n_documents,), int64
    words: list[str]


def tokenize(
    columns: Sequence[pa.ChunkedArray | Sequence[str]],
    config: TokenizerConfig | None = None,
    *,
    names: Sequence[str] | None = None,
    kept: "KeptEncoder | None" = None,
) -> pa.Table:
    """Cut documents into tokens.

    Args:
        columns: The text columns, equally long; document i is row i of all of them, joined.
        config: Language and rules; the defaults if None.
        names: The columns' names, for messages.
        kept: What cuts a few documents, where there will be more; of the same configuration.

    Returns:
        A table with one column `tokens: list<dictionary<int32, string>>` and one row a document.
        The words of the dictionary stand in order of first appearance. The schema's metadata say
        whether the documents are backwards (`is_backwards`).

    Raises:
        ValueError: A text is null or no string, columns differ in length, a rule is unknown or
            fails, or spaCy does not know the language.
        RuntimeError: A worker process died.
    """
    config = config or TokenizerConfig()
    texts = _checked(columns, names)
    mark = len(texts) > 1 if config.mark_fields is None else config.mark_fields
    n_documents = len(texts[0])
    n_characters = sum(pc.sum(pc.utf8_length(column)).as_py() or 0 for column in texts)
    batches = (
        (start, [column.slice(start, _BATCH).to_pylist() for column in texts], mark)
        for start in range(0, n_documents, _BATCH)
    )
    workers = min(config.workers or _cores(), -(-n_documents // _BATCH))
    if workers > 1 and n_characters >= _WORTH_A_POOL:
        results = _in_pool(config, batches, workers)
    elif kept is not None and n_documents <= _BATCH:
        results = iter(kept.encode(batches, n_characters))
    else:
        encoder = _Encoder(config)
        results = (encoder.encode(*batch) for batch in batches)

    from tqdm import tqdm  # so that a machine without it can apply what needs no tokens

    code_of_word: dict[str, int] = {}
    encoded: list[tuple[np.ndarray, np.ndarray]] = []
    with tqdm(total=n_documents, desc="tokenize", unit="doc", disable=None) as progress:
        for codes, lengths, words in results:
            shared = [code_of_word.setdefault(word, len(code_of_word)) for word in words]
            encoded.append((np.array(shared, np.int32)[codes], lengths))
            progress.update(len(lengths))
    dictionary = pa.array(list(code_of_word), pa.string())
    kind = pa.list_(pa.dictionary(pa.int32(), pa.string()))
    chunks = [
        pa.ListArray.from_arrays(
            pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()),
            pa.DictionaryArray.from_arrays(pa.array(codes), dictionary),
        )
        for codes, lengths in encoded
    ]
    table = pa.table({"tokens": pa.chunked_array(chunks, kind)})
    return mark_direction(table, config.backwards)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _checked(
    columns: Sequence[pa.ChunkedArray | Sequence[str]], names: Sequence[str] | None
) -> list[pa.ChunkedArray]:
    """The columns as Arrow strings without nulls."""
    if not columns:
        raise ValueError("there is no text column: name at least one")
    checked: list[pa.ChunkedArray] = []
    for i, given in enumerate(columns):
        name = f"text column {names[i]!r}" if names else f"text column {i + 1}"
        try:
            column = given if isinstance(given, pa.ChunkedArray) else pa.chunked_array([given])
            if not len(column):
                column = pa.chunked_array([], pa.large_string())
            elif not pa.types.is_large_string(column.type):
                if pa.types.is_dictionary(column.type):
                    column = column.cast(column.type.value_type)
                if not (pa.types.is_string(column.type) or pa.types.is_string_view(column.type)):
                    raise pa.ArrowTypeError(f"it is {column.type}")
                column = column.cast(pa.large_string())
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ValueError(
                f"{name} does not hold strings ({error}): name a column of texts, or convert it"
            ) from error
        if column.null_count:
            row = pc.index(column.is_null(), True).as_py()
            raise ValueError(
                f"{name} is null in row {row} ({column.null_count:,} nulls in all): drop such rows "
                "or fill them"
            )
        if checked and len(column) != len(checked[0]):
            raise ValueError(
                f"{name} has {len(column):,} rows and the first one {len(checked[0]):,}: text "
                "columns of one table are equally long"
            )
        checked.append(column)
    return checked


class _Encoder:
    """Turns batches of texts into codes, in one process."""

    def __init__(self, config: TokenizerConfig) -> None:
        self.config = config
        rules = [find_rule(name, RULES) for name in config.rules]
        by_text = max((i for i, rule in enumerate(rules, 1) if rule.scope == "text"), default=0)
        self.cut: Callable[[str], list[str]] = _split
        self._start(rules[by_text:])
        if not self.chunks.by_chunk:  # spaCy itself looks at the whole text in this language
            by_text = len(rules)
            self.cut = _whole
            self._start([])
        self.text_rules = rules[:by_text]

    def _start(self, chunk_rules: list[Rule]) -> None:
        """Begin with nothing remembered."""
        self.chunk_rules = chunk_rules
        token_rules = [find_rule(name, TOKEN_RULES) for name in self.config.token_rules]
        self.chunks = _Chunks(self.config, chunk_rules, token_rules)
        self.begin = (self.chunks.code(BOS),) if self.config.add_bos else ()
        self.end = (self.chunks.code(EOS),) if self.config.add_eos else ()

    def encode(self, first_row: int, columns: list[list[str]], mark: bool) -> _Encoded:
        """The tokens of the documents whose texts are the rows of `columns`."""
        if (
            max(len(self.chunks), len(self.chunks.words)) > _REMEMBERED
        ):  # drops spaCy's own memory of words too
            self._start(self.chunk_rules)
        documents = []
        for row, fields in enumerate(zip(*columns, strict=True), first_row):
            text = _join(fields, mark)
            for rule in self.text_rules:
                text = _applied(rule, text, row)
            chunks = map(self.chunks.__getitem__, self.cut(text.strip()))
            document = chain(self.begin, chain.from_iterable(chunks), self.end)
            document_codes = np.fromiter(document, np.int32)
            documents.append(document_codes[::-1] if self.config.backwards else document_codes)
        lengths = np.fromiter(map(len, documents), np.int64, len(documents))
        codes = np.concatenate(documents) if documents else np.zeros(0, np.int32)

        # Renumber by first appearance in the batch: what this process saw before must not show.
        words = self.chunks.words
        first = np.full(len(words), -1, np.int64)
        first[codes[::-1]] = np.arange(len(codes))[::-1]  # of equal indices the last write stays
        seen = np.flatnonzero(first >= 0)
        seen = seen[np.argsort(first[seen])]
        new_code = np.zeros(len(words), np.int32)
        new_code[seen] = np.arange(len(seen), dtype=np.int32)
        return _Encoded(new_code[codes], lengths, [words[i] for i in seen])


class KeptEncoder:
    """An encoder for requests of a few documents: to make one takes longer than to answer them.

    It may be asked from several threads. What it remembers stays small: it is made anew from time
    to time.
    """

    def __init__(self, config: TokenizerConfig) -> None:
        """Keep the configuration; the encoder is made when it is first needed."""
        self._config, self._lock = config, threading.Lock()
        self._encoder: _Encoder | None = None
        self._read = 0

    def encode(
        self, batches: Iterable[tuple[int, list[list[str]], bool]], characters: int
    ) -> list[_Encoded]:
        """Encode batches, in which there are so many characters."""
        with self._lock:
            if self._encoder is None or self._read + characters > _READ_BY_KEPT:
                self._encoder, self._read = _Encoder(self._config), 0
            self._read += characters
            return [self._encoder.encode(*batch) for batch in batches]


def _join(fields: tuple[str, ...], mark: bool) -> str:
    if mark:
        return " ".join(f"{FLD} {i} {field}" for i, field in enumerate(fields, 1))
    return " ".join(fields)


def _applied(rule: Rule, text: str, row: int) -> str:
    try:
        changed = rule.apply(text)
        if not isinstance(changed, str):
            raise TypeError(f"it gave back a {type(changed).__name__}, not a str")
    except Exception as error:
        raise ValueError(
            f"the rule {rule.name!r} failed on row {row} ({type(error).__name__}: {error}): mend "
            f"the rule or take it out of `rules`; the text begins {text[:80]!r}"
        ) from error
    return changed


# Chunks, and what spaCy makes a token of its own: white space but for the first blank after a chunk
_split = re.compile(r"\S+|\s{2,}|[^\S ]").findall


def _whole(text: str) -> list[str]:
    return [text]


class _Chunks(dict[str, tuple[int, ...]]):
    """Chunk → codes of its tokens, worked out when first asked for."""

    def __init__(self, config: TokenizerConfig, rules: list[Rule], token_rules: list[Rule]) -> None:
        super().__init__()
        self.rules, self.token_rules = rules, token_rules
        if config.unit == "word":
            self.cut, self.by_chunk = _spacy_tokenizer(config.language)
        else:
            self.cut, self.by_chunk = _chunk_tokenizer(config), True
        self.pieces: dict[str, tuple[int, ...]] = {}  # The, THE and the need spaCy once
        self.words: list[str] = []
        self.code_of_word: dict[str, int] = {}

    def code(self, word: str) -> int:
        code = self.code_of_word.setdefault(word, len(self.words))
        if code == len(self.words):
            self.words.append(word)
        return code

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        changed = reduce(lambda text, rule: rule.apply(text), self.rules, chunk)
        if changed.isspace():
            pieces = [changed.removeprefix(" ")]
        else:  # the rules' marks stand apart
            pieces = changed.split(" ") if self.by_chunk else [changed]
        codes = tuple(chain.from_iterable(map(self._codes, pieces)))
        if len(chunk) <= _LONGEST_REMEMBERED:
            self[chunk] = codes
        return codes

    def _codes(self, piece: str) -> tuple[int, ...]:
        codes = self.pieces.get(piece)
        if codes is None:
            words = self.cut(piece)
            for rule in self.token_rules:
                words = [rule.apply(word) for word in words]
            codes = tuple(self.code(word) for word in words)
            if len(piece) <= _LONGEST_REMEMBERED:
                self.pieces[piece] = codes
        return codes


def _chunk_tokenizer(config: TokenizerConfig) -> Callable[[str], list[str]]:
    """A function that cuts a chunk into characters or pieces; special tokens stay whole."""
    parts: Callable[[str], list[str]]
    if config.unit == "chunk":
        parts = _whole
    elif config.unit == "character":
        parts = characters
    elif config.subword_model is not None:
        parts = piece_cutter(config.subword_model)
    else:
        raise ValueError(
            "the tokenizer's unit is `subword`, but its pieces are not learnt yet: make the "
            "configuration ready with gradual.text.fitting.fit_tokenizer"
        )
    special = frozenset(SPECIAL_TOKENS)

    def cut(chunk: str) -> list[str]:
        if chunk in special or not chunk:
            return [chunk] if chunk else []
        return [chunk] if chunk.isspace() else parts(chunk)

    return cut


def _spacy_tokenizer(language: str) -> tuple[Callable[[str], list[str]], bool]:
    """The tokenizer of a language as a function, and whether it works chunk by chunk."""
    import spacy
    from spacy.tokenizer import Tokenizer

    try:
        nlp: Any = spacy.blank(language)
    except ImportError as error:  # what spaCy raises for both
        if language == "ja":
            raise ValueError(
                "language 'ja' needs a dictionary that is not installed: pip install gradual[ja]"
            ) from error
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"spaCy has no tokenizer for language {language!r} ({reason}): use one of the codes "
            "on spacy.io/usage/models, `xx` for any language, or install what it asks for"
        ) from error
    tokenizer = nlp.tokenizer
    if type(tokenizer) is Tokenizer:
        nlp.vocab.lex_attr_getters = {}  # shape, stop word, …: worked out a word, and not used here
        for word in SPECIAL_TOKENS:
            tokenizer.add_special_case(word, [{"ORTH": word}])
        return lambda text: [token.text for token in tokenizer(text)], True

    # Languages with a tokenizer of their own (zh, ja, ko, th, vi) take no special cases.
    special = "|".join(SPECIAL_TOKENS)
    # spaCy's Chinese tokenizer takes every letter of another script for a word: those stay whole.
    kept = rf"{special}|[^\W\d_{_OWN_SIGNS}]+|\d+" if language == "zh" else special
    apart = re.compile(rf"(?<!\S)({special})(?!\S)" if kept == special else rf"({kept})")

    def cut(text: str) -> list[str]:
        words: list[str] = []
        for i, part in enumerate(apart.split(text)):
            words += [part] if i % 2 else _in_bits(tokenizer, part.strip(" "))
        return words

    return cut, False


#: Characters that are words or syllables, of scripts that write no blanks between words.
_OWN_SIGNS = "\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_BITS = re.compile(r"\s*\n\s*|[^\n]{1,8000}?(?:[。！？]+|(?=\n)|$)|[^\n]{1,8000}")


def _in_bits(tokenizer: Callable[[str], Any], text: str) -> list[str]:
    """The tokens of a text: Sudachi refuses more than 49,149 bytes at a time."""
    if len(text) <= 8_000:
        return [token.text for token in tokenizer(text)] if text else []
    return [token.text for bit in _BITS.findall(text) for token in tokenizer(bit)]


_encoder: _Encoder | None = None  # of a worker process


def _start_worker() -> None:
    # spaCy loads torch where it finds it: seconds and 300 MB a process, for nothing here.
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]
    # A worker whose parent was killed would wait for ever for its next batch.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _encode_in_worker(
    config: TokenizerConfig, first_row: int, columns: list[list[str]], mark: bool
) -> _Encoded:
    global _encoder
    if _encoder is None:  # not in _start_worker, whose errors nobody would read
        _encoder = _Encoder(config)
    return _encoder.encode(first_row, columns, mark)


def _in_pool(
    config: TokenizerConfig, batches: Iterator[tuple[int, list[list[str]], bool]], workers: int
) -> Iterator[_Encoded]:
    """Results of `workers` processes in the order of the batches."""
    logger.info("tokenizing with %d processes", workers)
    context = multiprocessing.get_context("spawn")  # forking a process with threads can deadlock
    waiting: deque[tuple[int, Future[_Encoded]]] = deque()
    with ProcessPoolExecutor(workers, context, _start_worker) as pool:
        try:
            for batch in batches:
                waiting.append((batch[0], pool.submit(_encode_in_worker, config, *batch)))
                if len(waiting) > 2 * workers:  # enough to keep all busy, little in memory
                    yield waiting[0][1].result()
                    waiting.popleft()
            while waiting:
                yield waiting[0][1].result()
                waiting.popleft()
        except BrokenProcessPool as error:
            first = waiting[0][0] if waiting else 0
            raise RuntimeError(
                f"a tokenizer process died at about row {first}: most often the machine ran out of "
                "memory; set `workers` lower, or to 1 to see an error of a rule itself"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
