import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradual.text.rules import SPECIAL_TOKENS
from gradual.text.vocabulary import Vocabulary, VocabularyConfig, build_vocabulary, flat_tokens

N = len(SPECIAL_TOKENS)


def table(*documents: str) -> pa.Table:
    kind = pa.list_(pa.dictionary(pa.int32(), pa.string()))
    return pa.table({"tokens": pa.array([text.split() for text in documents], kind)})


def build(tokens: pa.Table, **config: int) -> Vocabulary:
    return build_vocabulary(tokens, np.ones(len(tokens), bool), VocabularyConfig(**config))


def test_most_frequent_first_ties_alphabetical_specials_in_front() -> None:
    tokens = table("xxbos b a c c", "xxbos xxmaj b a c rare é")
    vocabulary = build(tokens, min_frequency=2)
    assert vocabulary.words == (*SPECIAL_TOKENS, "c", "a", "b")
    assert vocabulary.counts == (0, 0, 2, 0, 0, 0, 0, 0, 1, 3, 2, 2)
    assert vocabulary.index("c") == N
    assert vocabulary.index("rare") == 0
    assert "a" in vocabulary
    assert "rare" not in vocabulary
    assert build(tokens, min_frequency=1, max_size=N + 2).words[N:] == ("c", "a")


def test_only_the_given_rows_count() -> None:
    tokens = table("a a a", "b b b b", "a a a")
    vocabulary = build_vocabulary(tokens, np.array([True, False, True]))
    assert vocabulary.words[N:] == ("a",)
    assert vocabulary.counts[N:] == (6,)


def test_chunks_with_dictionaries_of_their_own_count_together(tmp_path) -> None:
    whole = table("a b", "b c", "c a a", "a")
    parts = pa.concat_tables([table("a b"), table("b c", "c a a").slice(0, 1), table("c a a", "a")])
    pq.write_table(whole, tmp_path / "t.parquet", row_group_size=1, dictionary_pagesize_limit=1)
    expected = build(whole, min_frequency=1)
    for other in (parts, pq.read_table(tmp_path / "t.parquet"), whole.cast(
        pa.schema([("tokens", pa.large_list(pa.string()))])
    )):  # fmt: skip
        assert build(other, min_frequency=1) == expected
        codes, offsets, words = flat_tokens(other)
        assert [words[i] for i in codes] == ["a", "b", "b", "c", "c", "a", "a", "a"]
        assert offsets.tolist() == [0, 2, 4, 7, 8]


def test_hash_is_of_the_words_and_json_comes_back() -> None:
    vocabulary = build(table("é é é \U0001f600 \U0001f600 \U0001f600"))
    data = json.loads(json.dumps(vocabulary.to_json()))
    assert Vocabulary.from_json(data) == vocabulary
    assert data["words"][N] == ["é", 3]
    other = Vocabulary(vocabulary.words, tuple(range(len(vocabulary))))
    assert other.hash == vocabulary.hash
    assert build(table("é é é")).hash != vocabulary.hash
    data["words"][N][0] = "e"
    with pytest.raises(ValueError, match="edited or damaged"):
        Vocabulary.from_json(data)
    with pytest.raises(ValueError, match="no vocabulary"):
        Vocabulary.from_json({"words": []})


def test_errors_say_what_to_do() -> None:
    tokens = table("a a a b", "c")
    with pytest.raises(ValueError, match="no row is chosen"):
        build_vocabulary(tokens, np.zeros(2, bool))
    with pytest.raises(ValueError, match="one bool for each of the 2 documents"):
        build_vocabulary(tokens, np.ones(3, bool))
    with pytest.raises(ValueError, match="one bool for each"):
        build_vocabulary(tokens, np.array([0, 1]))
    with pytest.raises(ValueError, match=r"none of the 3 words .* nothing but special tokens"):
        build(tokens, min_frequency=4)
    with pytest.raises(ValueError, match="nothing but special tokens"):
        build(table("xxbos", "xxbos"))
    with pytest.raises(ValueError, match="row 1 of the column 'tokens' is null"):
        build(pa.table({"tokens": pa.array([["a"], None])}))
    with pytest.raises(ValueError, match=r"no column 'tokens' but \['text'\]"):
        flat_tokens(pa.table({"text": ["a"]}))
    with pytest.raises(ValueError, match="must be list<dictionary<string>>"):
        flat_tokens(pa.table({"tokens": ["a"]}))
    with pytest.raises(ValueError, match="max_size is 9"):
        VocabularyConfig(max_size=9)
    with pytest.raises(ValueError, match="min_frequency is 0"):
        VocabularyConfig(min_frequency=0)
    with pytest.raises(ValueError, match="'a' stands twice"):
        Vocabulary((*SPECIAL_TOKENS, "a", "a"), (0,) * (N + 2))
    with pytest.raises(ValueError, match="starts with the special tokens"):
        Vocabulary(("a",), (1,))
    with pytest.raises(ValueError, match="has 1 counts"):
        Vocabulary(SPECIAL_TOKENS, (1,))
