from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradual.text.corpus import Corpus, numericalize
from gradual.text.rules import SPECIAL_TOKENS
from gradual.text.vocabulary import Vocabulary

WORDS = (*SPECIAL_TOKENS, "a", "b", "c")
VOCABULARY = Vocabulary(WORDS, (1,) * len(WORDS))


def table(documents: list[list[str]]) -> pa.Table:
    kind = pa.list_(pa.dictionary(pa.int32(), pa.string()))
    return pa.table({"tokens": pa.array(documents, kind)})


def corpus_of(*lengths: int) -> Corpus:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Corpus(np.arange(offsets[-1]).astype(np.uint16), offsets, "v")


@given(st.lists(st.lists(st.sampled_from([*WORDS[2:], "unknown", "é"]), max_size=5), max_size=8))
def test_numericalized_documents_say_the_same_words(documents: list[list[str]]) -> None:
    corpus = numericalize(table(documents), VOCABULARY)
    assert len(corpus) == len(documents)
    assert corpus.lengths.tolist() == [len(document) for document in documents]
    for i, document in enumerate(documents):
        known = [word if word in WORDS else "xxunk" for word in document]
        assert [WORDS[j] for j in corpus.document(i)] == known
    back = Corpus.from_table(corpus.to_table())
    assert back.hash == corpus.hash
    assert back.offsets.tolist() == corpus.offsets.tolist()


def test_ids_take_the_smallest_type_that_fits() -> None:
    words = (*SPECIAL_TOKENS, *(f"w{i}" for i in range(1 << 16)))
    small = Vocabulary(words[: 1 << 16], (1,) * (1 << 16))
    large = Vocabulary(words[: (1 << 16) + 1], (1,) * ((1 << 16) + 1))
    tokens = table([[words[1 << 16], words[(1 << 16) - 1]]])
    assert numericalize(tokens, small).ids.dtype == np.uint16
    assert numericalize(tokens, large).ids.dtype == np.uint32
    assert numericalize(tokens, small).ids.tolist() == [0, (1 << 16) - 1]
    assert numericalize(tokens, large).ids.tolist() == [1 << 16, (1 << 16) - 1]


def test_a_memory_mapped_corpus_is_not_copied(tmp_path: Path) -> None:
    corpus = corpus_of(3, 0, 5)
    shared = corpus.to_table()["ids"].chunk(0).values.to_numpy()
    assert np.shares_memory(shared, corpus.ids)
    path = tmp_path / "corpus.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, corpus.to_table().schema) as out:
        out.write_table(corpus.to_table())
    before = pa.total_allocated_bytes()
    back = Corpus.from_table(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
    assert pa.total_allocated_bytes() - before < 64
    assert back.ids.tolist() == corpus.ids.tolist()
    assert back.vocabulary_hash == "v"
    assert back.hash == corpus.hash


def test_tables_in_pieces_come_back_too() -> None:
    corpus = corpus_of(3, 0, 5, 2)
    whole = corpus.to_table()
    pieces = pa.concat_tables([whole.slice(0, 2), whole.slice(2)])
    assert Corpus.from_table(pieces).hash == corpus.hash
    assert Corpus.from_table(whole.slice(1, 2)).document(1).tolist() == [3, 4, 5, 6, 7]
    assert len(Corpus.from_table(whole.slice(0, 0))) == 0
    assert len(Corpus.from_table(whole.schema.empty_table())) == 0


def test_select_takes_masks_and_positions() -> None:
    corpus = corpus_of(3, 0, 5, 2)
    some = corpus.select(np.array([False, True, True, False]))
    assert some.lengths.tolist() == [0, 5]
    assert some.ids.tolist() == [3, 4, 5, 6, 7]
    turned = corpus.select(np.array([3, 0]))
    assert turned.ids.tolist() == [8, 9, 0, 1, 2]
    assert turned.vocabulary_hash == "v"
    assert len(corpus.select(np.zeros(4, bool))) == 0
    assert corpus.document(-1).tolist() == [8, 9]
    with pytest.raises(IndexError):
        corpus.document(4)
    with pytest.raises(ValueError, match="one bool for each of the 4 documents"):
        corpus.select(np.ones(3, bool))


def test_the_hash_sees_every_part() -> None:
    corpus = corpus_of(3, 2)
    changed = corpus.ids.copy()
    changed[4] += 1
    others = [
        Corpus(changed, corpus.offsets, "v"),
        Corpus(corpus.ids, np.array([0, 2, 5]), "v"),
        Corpus(corpus.ids, corpus.offsets, "w"),
        Corpus(corpus.ids.astype(np.uint32), corpus.offsets, "v"),
    ]
    assert len({corpus.hash, *(other.hash for other in others)}) == 5


@pytest.mark.parametrize(
    ("ids", "offsets", "message"),
    [
        (np.zeros(2, np.int64), np.array([0, 2]), "ids has dtype int64"),
        (np.zeros((1, 2), np.uint16), np.array([0, 2]), "ids has dtype uint16 and shape"),
        (np.zeros(2, np.uint16), np.array([0, 2], np.int32), "offsets has dtype int32"),
        (np.zeros(2, np.uint16), np.array([], np.int64), "one longer"),
        (np.zeros(2, np.uint16), np.array([0, 3]), "from 0 to 3: it must go from 0"),
        (np.zeros(2, np.uint16), np.array([0, 2, 1, 2]), "offsets falls after document 1"),
    ],
)
def test_a_corpus_refuses_arrays_that_do_not_fit(
    ids: np.ndarray, offsets: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Corpus(ids, offsets, "v")


def test_other_tables_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no corpus: .*columns are \['ids'\]"):
        Corpus.from_table(pa.table({"ids": [[1]]}))
