import csv
import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.text import tokenizer
from gradual.text.rules import BOS, EOS, RULES, SPECIAL_TOKENS, TOKEN_RULES, find_rule
from gradual.text.tokenizer import KeptEncoder, TokenizerConfig, tokenize


@pytest.fixture(scope="module", autouse=True)
def spacy_once() -> Iterator[None]:
    """Spare the tests of making the same spaCy tokenizer a hundred times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "_spacy_tokenizer", lru_cache(tokenizer._spacy_tokenizer))
        yield


@lru_cache
def blank(language: str) -> Any:
    import spacy

    tokenizer = spacy.blank(language).tokenizer
    for word in SPECIAL_TOKENS:
        tokenizer.add_special_case(word, [{"ORTH": word}])
    return tokenizer


def tokenize_reference(text: str, config: TokenizerConfig) -> list[str]:
    """The plain way: rules in order on the whole text, spaCy on it, token rules on each token."""
    for name in config.rules:
        text = find_rule(name, RULES).apply(text)
    parts = [BOS if config.add_bos else "", text.strip(), EOS if config.add_eos else ""]
    text = " ".join(part for part in parts if part)
    words = [token.text for token in blank(config.language)(text)]
    for name in config.token_rules:
        words = [find_rule(name, TOKEN_RULES).apply(word) for word in words]
    return words


def words(texts: list[str], **config: Any) -> list[list[str]]:
    return tokenize([texts], TokenizerConfig(**config))["tokens"].to_pylist()


# No signs that make emoticons or quotation marks: see test_emoticons_across_white_space.
CHUNKS = st.one_of(
    st.text(st.sampled_from("aBcI1é.,!?-/#\\_…"), min_size=1, max_size=6),
    st.sampled_from(["don't", "U.S.", "NO", "no", "e.g.", "&amp;", "<br />", "xxmaj", "10km", "I'm",
                     "http://a.b/c?d", "a.m.", "cannot", "...", "quot;", "AB-cd", "Σας", "ΣΑΣ"]),
)  # fmt: skip
SPACES = st.sampled_from(
    [" ", " ", " ", " ", "  ", "\n", "\n\n", " \n", "\n ", "\t", "\u00a0", "   \r\n "]
)
TEXTS = st.lists(st.tuples(CHUNKS, SPACES), max_size=12).map(lambda t: "".join(a + b for a, b in t))
SOME_RULES = st.one_of(
    st.just(tuple(RULES)), st.lists(st.sampled_from(list(RULES)), max_size=8).map(tuple)
)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, rules=SOME_RULES, add_eos=st.booleans())
def test_the_fast_way_equals_the_plain_way(
    text: str, rules: tuple[str, ...], add_eos: bool
) -> None:
    config = TokenizerConfig(rules=rules, add_eos=add_eos)
    encoded = tokenizer._Encoder(config).encode(0, [[text]], False)
    assert [encoded.words[code] for code in encoded.codes] == tokenize_reference(text, config)


@pytest.fixture(scope="module")
def reviews(mirror: Path) -> list[str]:
    with tarfile.open(mirror / "imdb_sample.tgz") as tar:
        file = tar.extractfile("imdb_sample/texts.csv")
        assert file is not None
        rows = csv.DictReader(io.StringIO(file.read().decode()))
        return [row["text"] for row in rows]


def test_real_reviews_equal_the_plain_way_but_for_quotation_marks(reviews: list[str]) -> None:
    fast = words(reviews)
    different = [
        (ours, plain)
        for ours, text in zip(fast, reviews, strict=True)
        if ours != (plain := tokenize_reference(text, TokenizerConfig()))
    ]
    assert len(different) == 1
    (ours, plain) = different[0]
    assert "".join(ours) == "".join(plain)
    assert len(plain) - len(ours) == 1


def test_emoticons_across_white_space_do_not_break_those_within() -> None:
    # spaCy matches ' and ' in two chunks, drops that match, and with it the '' that overlaps it
    assert tokenize_reference("back'' ''return", TokenizerConfig())[1:] == [
        "back", "''", "'", "'", "return"]  # fmt: skip
    assert words(["back'' ''return"])[0][1:] == ["back", "''", "''", "return"]


def test_the_lessons_marks() -> None:
    text = "I LOVED it!!! The movie\n\nwas very very very good/bad<br />for $5... don't"
    assert words([text])[0] == (
        "xxbos i xxup loved it xxrep 3 ! xxmaj the movie|\n\n|was xxwrep 3 very good / bad|\n|for "
        "$ 5 … do n't"
    ).replace("|", " ").split(" ")  # fmt: skip


def test_empty_and_blank_texts_are_documents_too() -> None:
    assert words(["", " \n ", "a"]) == [[BOS], [BOS], [BOS, "a"]]
    assert words(["", "a"], add_bos=False) == [[], ["a"]]
    table = tokenize([[]])
    assert table.num_rows == 0
    assert table.schema.field("tokens").type == pa.list_(pa.dictionary(pa.int32(), pa.string()))


def test_several_columns_are_marked_as_fields() -> None:
    columns = [["Good", "b"], pa.chunked_array([["see IT"], ["d"]])]
    assert tokenize(columns)["tokens"].to_pylist() == [
        ["xxbos", "xxfld", "1", "xxmaj", "good", "xxfld", "2", "see", "xxup", "it"],
        ["xxbos", "xxfld", "1", "b", "xxfld", "2", "d"],
    ]
    plain = tokenize(columns, TokenizerConfig(mark_fields=False))["tokens"].to_pylist()
    assert plain[1] == ["xxbos", "b", "d"]
    assert words(["b"], mark_fields=True) == [["xxbos", "xxfld", "1", "b"]]


def test_rules_can_be_dropped_and_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "added_rules.py").write_text(
        "def first_two(text):\n    return ' '.join(text.split()[:2])\n"
        "def star(token):\n    return token + '*'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert words(["The film THE END"], rules=["lowercase"]) == [
        ["xxbos", "the", "film", "the", "end"]
    ]
    assert words(["The film THE END"], rules=[]) == [["xxbos", "The", "film", "THE", "END"]]
    late = (*RULES, "added_rules:first_two")  # a rule on whole texts, after those on chunks
    assert words(["The film THE END"], rules=late) == [["xxbos", "xxmaj", "the"]]
    assert words(["a b"], token_rules=["added_rules:star"]) == [["xxbos", "a*", "b*"]]


@pytest.mark.parametrize("language", ["de", "fr", "xx", "zh"])
def test_other_languages(language: str) -> None:
    text = "L'été, c'est bien. Das ist z.B. schön! 很好"
    assert words([text], language=language)[0][0] == BOS
    if language != "zh":
        config = TokenizerConfig(language=language)
        assert words([text], language=language)[0] == tokenize_reference(text, config)
    else:
        assert words([text], language=language)[0][-2:] == ["很", "好"]
        assert words(["NO 很"], language=language)[0] == [BOS, "xxup", "no", "很"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([["a", None, "b", None]], r"text column 1 is null in row 1 \(2 nulls in all\)"),
        ([["a"], ["b", "c"]], "text column 2 has 2 rows and the first one 1"),
        ([[1, 2]], r"text column 1 does not hold strings .*int64"),
        ([["a", 2]], "text column 1 does not hold strings"),
        ([], "there is no text column"),
    ],
)
def test_bad_columns_are_named(columns: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tokenize(columns)
    with pytest.raises(ValueError, match="text column 'review' is null in row 0"):
        tokenize([[None, "a"]], names=["review"])


def test_bad_configuration_says_what_is_known() -> None:
    with pytest.raises(ValueError, match=r"rules names an unknown rule 'lower': .* fix_html"):
        TokenizerConfig(rules=("lower",))
    with pytest.raises(ValueError, match="workers is 0"):
        TokenizerConfig(workers=0)
    with pytest.raises(ValueError, match="no tokenizer for language 'tlh'"):
        words(["nuqneH"], language="tlh")


TEXT = [f"The {w} film, No. {i}:\n\nsooo GOOD<br />{w}" for i, w in enumerate("abcdefghij" * 5)]


def test_the_result_does_not_depend_on_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "_BATCH", 7)
    one = tokenize([TEXT], TokenizerConfig(workers=1))
    monkeypatch.setattr(tokenizer, "_REMEMBERED", 3)  # forgetting all the time changes nothing
    forgetful = tokenize([TEXT], TokenizerConfig(workers=1))
    monkeypatch.setattr(tokenizer, "_WORTH_A_POOL", 0)
    two = tokenize([TEXT], TokenizerConfig(workers=2))
    for other in (forgetful, two):
        assert other.equals(one)
        for a, b in zip(one["tokens"].chunks, other["tokens"].chunks, strict=True):
            assert a.values.dictionary.equals(b.values.dictionary)


def test_a_failing_rule_and_a_dying_process_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad_rules.py").write_text(
        "import os, signal\n"
        "def fails(text):\n    return 1 / ('No. 20' not in text) and text\n"
        "def gives_none(text):\n    return None\n"
        "def dies(text):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"gives_none' failed on row 0 .*gave back a NoneType"):
        words(TEXT, rules=["bad_rules:gives_none"])
    monkeypatch.setattr(tokenizer, "_BATCH", 7)
    monkeypatch.setattr(tokenizer, "_WORTH_A_POOL", 0)
    with pytest.raises(ValueError, match=r"'bad_rules:fails' failed on row 20 \(ZeroDivisionError"):
        words(TEXT, rules=["bad_rules:fails"], workers=2)
    with pytest.raises(ValueError, match="no tokenizer for language 'tlh'"):
        words(TEXT, language="tlh", workers=2)
    with pytest.raises(RuntimeError, match="a tokenizer process died at about row 0"):
        words(TEXT, rules=["bad_rules:dies"], workers=2)


def test_spacy_is_imported_late_and_torch_never_in_a_worker() -> None:
    code = (
        "import sys, gradual.text.tokenizer as t\n"
        "assert 'spacy' not in sys.modules and 'torch' not in sys.modules\n"
        "t._start_worker()\n"
        "t._encode_in_worker(t.TokenizerConfig(), 0, [['a']], False)\n"
        "assert sys.modules['torch'] is None and 'spacy' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes in /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "slow_rules.py").write_text(
        "import os, pathlib, time\n"
        "def slow(text):\n"
        "    pathlib.Path(__file__).with_name(f'{os.getpid()}.pid').touch()\n"
        "    time.sleep(50)\n"
    )
    (tmp_path / "main.py").write_text(
        "from gradual.text import tokenizer as t\n"
        "if __name__ == '__main__':\n"
        "    t._BATCH, t._WORTH_A_POOL = 1, 0\n"
        "    t.tokenize([['a', 'b']], t.TokenizerConfig(rules=('slow_rules:slow',), workers=2))\n"
    )
    parent = subprocess.Popen([sys.executable, str(tmp_path / "main.py")])

    def workers() -> list[int]:
        return [int(path.stem) for path in tmp_path.glob("*.pid")]

    def running(pid: int) -> bool:
        try:
            return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return False

    try:
        wait_until(lambda: len(workers()) == 2)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not any(map(running, workers())))


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_a_kept_encoder_says_the_same_from_many_threads_and_forgets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = TokenizerConfig(workers=1)
    texts = [[f"A dull film {i}, isn't it?", f"FINE films {i}"] for i in range(12)]
    expected = [tokenize([each], config) for each in texts]
    monkeypatch.setattr(tokenizer, "_READ_BY_KEPT", 100)
    kept = KeptEncoder(config)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda each: tokenize([each], config, kept=kept), texts))
    assert found == expected
    assert kept._encoder is not None
    assert len(kept._encoder.chunks.words) < 40, "it has been made anew"
