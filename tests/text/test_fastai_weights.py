"""Language models in fastai's files: what is read of them, and what is refused."""

import io
import os
import pickle
import shutil
import subprocess
import tarfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastai_files
import numpy as np
import pytest
import torch
from fastai_files import WORDS, archive, logits, state_dict, stored
from torch import Tensor

from gradual.sources.errors import SourceError
from gradual.text.bundles import reads_backwards, vocabulary_of
from gradual.text.fastai_weights import fastai_language_model, pickled_words
from gradual.text.language_model import language_model_from_bundle
from gradual.text.rules import SPECIAL_TOKENS
from gradual.training.bundle import Bundle, BundleError, load_bundle, save_bundle


class Command:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def answers(bundle: Bundle, words: list[list[str]]) -> Tensor:
    """Logits (T, B, V) of our model for words (T, B)."""
    vocabulary = vocabulary_of(bundle)
    model = language_model_from_bundle(bundle).eval()
    with torch.no_grad():
        ids = torch.tensor([[vocabulary.index(word) for word in row] for row in words])
        return model.logits(model(ids)[1])


def same_answers(bundle: Bundle, state: dict[str, Tensor], words: list[str] = WORDS) -> None:
    """Check that a bundle answers as fastai's network does, word by word."""
    ids = torch.randint(0, words.index("weaver") + 1, (7, 3), generator=torch.manual_seed(1))
    with torch.no_grad():
        theirs = logits(state, ids)
    ours = answers(bundle, [[words[i] for i in row] for row in ids.tolist()])
    vocabulary = vocabulary_of(bundle)
    for i, word in enumerate(words):
        if word != "xxfake":
            place = vocabulary.index(word)
            torch.testing.assert_close(ours[..., place], theirs[..., i], atol=1e-6, rtol=0)


@pytest.mark.parametrize("sizes", [(8, 12, 12, 8), (8, 12, 8), (6, 6)])
def test_the_same_words_get_the_same_logits(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    state = state_dict(sizes=sizes)
    bundle = fastai_language_model(archive(tmp_path / "wt103.tgz", state))
    same_answers(bundle, state)
    config = bundle.config["model"]
    assert (config["embedding_size"], config["hidden_size"]) == sizes[:2]
    assert config["layers"] == len(sizes) - 1
    assert vocabulary_of(bundle).words == (*SPECIAL_TOKENS, *WORDS[9:16]), "without fillers"
    assert bundle.dependencies["vocabulary"] == vocabulary_of(bundle).hash
    path = tmp_path / "language_model.safetensors"
    save_bundle(bundle, path)
    assert load_bundle(path).hash == bundle.hash


def _older(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As fastai 0.7 called them, the copy that DropConnect has thinned out beside the original."""
    names = {"encoder_dp.emb": "encoder_with_dropout.embed", "weight_hh_l0_raw": "module.{}"}
    older = {}
    for name, tensor in state.items():
        for new, old in names.items():
            name = name.replace(new, old.format("weight_hh_l0_raw"))
        older[name] = tensor
        if name.endswith("_raw"):
            older[name.removesuffix("_raw")] = tensor * (torch.rand(tensor.shape) > 0.5)
    return older


@pytest.mark.parametrize(
    "content",
    [
        lambda s: stored(s, _use_new_zipfile_serialization=False),  # before torch 1.6
        lambda s: stored(OrderedDict(s), pickle_protocol=2),
        lambda s: stored({"model": s, "opt": {"hypers": [{"lr": 0.1}], "state": []}}),
        lambda s: stored(_older(s)),
        lambda s: stored({n: torch.nn.Parameter(t) for n, t in s.items()}),
    ],
)
def test_it_may_be_stored_in_several_ways(
    tmp_path: Path, content: Callable[[dict[str, Tensor]], bytes]
) -> None:
    state = state_dict()
    same_answers(fastai_language_model(archive(tmp_path / "a.tgz", content(state))), state)


def test_an_encoder_alone_gets_a_decoder_without_bias(tmp_path: Path) -> None:
    state = state_dict()
    encoder = {n.removeprefix("0."): t for n, t in state.items() if n.startswith("0.")}
    bundle = fastai_language_model(archive(tmp_path / "a.tgz", encoder))
    same_answers(bundle, state | {"1.decoder.bias": torch.zeros(len(WORDS))})


def test_half_precision_is_read_as_single(tmp_path: Path) -> None:
    half = {n: t.half() for n, t in state_dict().items()}
    bundle = fastai_language_model(archive(tmp_path / "a.tgz", half))
    assert {t.dtype for t in bundle.state.values()} == {torch.float32}
    same_answers(bundle, {n: t.float() for n, t in half.items()})


def test_views_of_one_stretch_of_memory_become_tensors_of_their_own(tmp_path: Path) -> None:
    state = state_dict()
    flat = torch.cat([t.flatten() for t in state.values()])
    parts = flat.split([t.numel() for t in state.values()])
    views = {n: p.view_as(t) for (n, t), p in zip(state.items(), parts, strict=True)}
    bundle = fastai_language_model(archive(tmp_path / "a.tgz", views))
    save_bundle(bundle, tmp_path / "a.safetensors")
    same_answers(bundle, state)


def test_a_folder_serves_as_well_as_an_archive(tmp_path: Path) -> None:
    packed = archive(tmp_path / "wt103.tgz")
    folder = tmp_path / "unpacked"
    shutil.unpack_archive(packed, folder, filter="data")
    (folder / "wt103" / "._itos_wt103.pkl").write_text("what a Mac leaves")
    assert fastai_language_model(folder).hash == fastai_language_model(packed).hash


def test_special_tokens_that_are_missing_start_at_the_mean(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["eh" if word == "xxeos" else word for word in WORDS]
    state = state_dict()
    with caplog.at_level("INFO"):
        bundle = fastai_language_model(archive(tmp_path / "a.tgz", state, words))
    assert "lacks xxeos" in caplog.text
    row = bundle.state["encoder.embedding.weight"][SPECIAL_TOKENS.index("xxeos")]
    torch.testing.assert_close(row, state["0.encoder.weight"].mean(0))


def test_of_a_word_that_stands_twice_the_later_row_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["the" if word == "of" else word for word in WORDS]
    state = state_dict()
    with caplog.at_level("INFO"):
        bundle = fastai_language_model(archive(tmp_path / "a.tgz", state, words))
    assert "1 words twice" in caplog.text
    place = vocabulary_of(bundle).index("the")
    row = bundle.state["encoder.embedding.weight"][place]
    assert torch.equal(row, state["0.encoder.weight"][WORDS.index("of")])


def test_another_matrix_of_the_decoder_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = state_dict()
    untied = state | {"1.decoder.weight": torch.zeros_like(state["1.decoder.weight"])}
    same_answers(fastai_language_model(archive(tmp_path / "a.tgz", untied)), state)
    assert "the decoder's matrix is not the embedding's" in caplog.text


@pytest.mark.parametrize(
    ("name", "weights", "backwards"),
    [
        ("wt103-fwd.tgz", "lstm_fwd.pth", False),
        ("wt103-bwd.tgz", "lstm_bwd.pth", True),
        ("mine.tgz", "language_model.pth", True),
        ("mine.tgz", "language_model.pth", False),
    ],
)
def test_the_direction_is_the_readers_word(
    tmp_path: Path, name: str, weights: str, backwards: bool
) -> None:
    path = archive(tmp_path / name, weights=weights)
    bundle = fastai_language_model(path, backwards=backwards)
    assert reads_backwards(bundle) == backwards
    if name != "mine.tgz":
        with pytest.raises(BundleError, match="name fastai's archive of that direction"):
            fastai_language_model(path, backwards=not backwards)


# --------------------------------------------------------------------------------------- words


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_gives_the_words_back(protocol: int) -> None:
    words = [*WORDS, "é", "", "\n", "\U0001f600", "long" * 100, "the", *map(str, range(2500))]
    assert pickled_words(pickle.dumps(words, protocol), "a list") == words
    assert pickled_words(pickle.dumps(["one"], protocol), "a list") == ["one"]
    assert pickled_words(pickle.dumps([], protocol), "a list") == []


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_word_list_that_is_a_program_is_refused_and_not_run(
    tmp_path: Path, protocol: int
) -> None:
    trace = tmp_path / "was_here"
    for content in (Command(trace), [*WORDS, Command(trace)]):
        with pytest.raises(BundleError, match=r"opcode (STACK_)?GLOBAL at byte \d+"):
            pickled_words(pickle.dumps(content, protocol), "words.pkl")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "opcode"),
    [
        (b"cposix\nsystem\n(S'id'\ntR.", "GLOBAL"),
        (b"(S'id'\nios\nsystem\n.", "STRING"),
        (b"\x80\x02]q\x00(X\x01\x00\x00\x00aios\nsystem\ne.", "INST"),
        (b"\x80\x02]q\x00(X\x01\x00\x00\x00ao.", "OBJ"),
        (b"\x80\x02]X\x01\x00\x00\x00aR.", "REDUCE"),
        (b"\x80\x02]X\x01\x00\x00\x00ab.", "BUILD"),
        (b"\x80\x02]P1\n.", "PERSID"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (pickle.dumps([b"bytes"]), "SHORT_BINBYTES"),
        (pickle.dumps(["a", 1]), "BININT1"),
        (pickle.dumps({"a": 1}), "EMPTY_DICT"),
        (pickle.dumps(("a", "b")), "TUPLE2"),
        (pickle.dumps({"a"}), "EMPTY_SET"),
        (pickle.dumps(np.array(["a"])), "GLOBAL"),
    ],
)
def test_any_opcode_that_a_list_of_words_does_not_need_is_refused(
    content: bytes, opcode: str
) -> None:
    with pytest.raises(BundleError, match=rf"opcode (STACK_)?{opcode} at byte \d+"):
        pickled_words(content, "words.pkl")


@pytest.mark.parametrize(
    "content", [pickle.dumps("a"), pickle.dumps([["a"], "b"]), pickle.dumps([[], "b"]), b"."]
)
def test_what_is_not_one_list_of_words_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="one list of words"):
        pickled_words(content, "words.pkl")


def test_a_list_within_itself_is_refused() -> None:
    endless: list[Any] = ["a"]
    endless.append(endless)
    with pytest.raises(BundleError, match="opcode BINGET"):
        pickled_words(pickle.dumps(endless), "words.pkl")


def test_damaged_word_lists_are_refused_or_give_words() -> None:
    content = pickle.dumps(WORDS)
    for length in range(len(content)):
        with pytest.raises(BundleError):
            pickled_words(content[:length], "words.pkl")
    random = np.random.default_rng(0)
    for _ in range(500):
        damaged = bytearray(content)
        damaged[random.integers(len(content))] = random.integers(256)
        try:
            found = pickled_words(bytes(damaged), "words.pkl")
        except BundleError:
            continue
        assert all(type(word) is str for word in found)


# ------------------------------------------------------------------------------------- refused


def test_weights_that_are_a_program_are_refused_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "was_here"
    for state in (Command(trace), state_dict() | {"0.encoder.weight": Command(trace)}):
        for new in (True, False):
            content = stored(state, _use_new_zipfile_serialization=new)
            with pytest.raises(BundleError, match=r"more than tensors \(it names posix\.system\)"):
                fastai_language_model(archive(tmp_path / "a.tgz", content))
    with pytest.raises(BundleError, match="more than tensors"):
        fastai_language_model(archive(tmp_path / "a.tgz", pickle.dumps(Command(trace), 2)))
    assert not trace.exists()


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    for new in (True, False):
        content = stored(state_dict(), _use_new_zipfile_serialization=new)
        for length in (0, 3, 100, len(content) // 2, len(content) - 1):
            with pytest.raises(BundleError, match=r"lstm_wt103\.pth is damaged"):
                fastai_language_model(archive(tmp_path / "a.tgz", content[:length]))


def _without(*names: str) -> dict[str, Tensor]:
    return {n: t for n, t in state_dict().items() if n not in names}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, r"no matrix 0\.encoder\.weight"),
        ([], "no mapping of names to tensors"),
        ({"a": 1}, "no mapping of names to tensors"),
        (_without("0.encoder.weight"), r"no matrix 0\.encoder\.weight"),
        (_without("0.rnns.0.weight_hh_l0_raw"), r"lacks .* encoder\.layers\.0\.weight_hh here"),
        (_without("0.rnns.1.module.bias_hh_l0"), r"lacks .* encoder\.layers\.1\.bias_hh here"),
        (
            {n: t for n, t in state_dict().items() if not n.startswith("0.rnns.1.")},
            "shapes are none of an AWD-LSTM's",  # one layer of another size than the embedding
        ),
        (
            {n: t for n, t in state_dict().items() if not n.startswith("0.rnns.0.")},
            "lacks weights",
        ),
        (state_dict(sizes=(8, 12, 10, 8)), r"layers\.1\.weight_ih \(40, 12\) where \(48, 12\)"),
        (state_dict() | {"1.decoder.bias": torch.zeros(3)}, r"decoder\.bias \(3,\) where"),
        (
            state_dict() | {"0.rnns.0.module.weight_ih_l0_reverse": torch.zeros(1)},
            r"it also holds 0\.rnns\.0\.module\.weight_ih_l0_reverse",
        ),
        ({"0.rnns.0.layers.0.linear.module.weight": torch.zeros(1)}, "is no AWD-LSTM"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, state: Any, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        fastai_language_model(archive(tmp_path / "a.tgz", state))


def test_words_that_are_not_the_models_are_refused(tmp_path: Path) -> None:
    for words in (WORDS[:-1], [*WORDS, "more"]):
        with pytest.raises(BundleError, match="belong to different models"):
            fastai_language_model(archive(tmp_path / "a.tgz", words=words))
    words = ["_unk_", "_pad_", *WORDS[2:]]
    with pytest.raises(BundleError, match="does not hold xxunk"):
        fastai_language_model(archive(tmp_path / "a.tgz", words=words))


def test_archives_that_lack_a_file_or_hold_two_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    with pytest.raises(BundleError, match=r"holds wt103/lstm_wt103\.pth and b\.pth"):
        fastai_language_model(archive(path, more=[("b.pth", b"")]))
    with tarfile.open(path, "w:gz") as tar:
        tar.add(fastai_files.__file__, "wt103/readme.txt")
    with pytest.raises(BundleError, match=r"no \*\.pth and no \*\.pkl"):
        fastai_language_model(path)
    with pytest.raises(SourceError, match="does not exist"):
        fastai_language_model(tmp_path / "none.tgz")


def test_archives_that_would_leave_their_folder_are_refused(tmp_path: Path) -> None:
    for name in ("../itos.pkl", "/tmp/x.pth", "a/../../b"):
        with pytest.raises(SourceError, match="would escape its folder"):
            fastai_language_model(archive(tmp_path / "a.tgz", more=[(name, b"")]))
    path = archive(tmp_path / "a.tar.gz")
    subprocess.run(["gunzip", path], check=True)
    with tarfile.open(path.with_suffix(""), "a") as tar:
        link = tarfile.TarInfo("link.pkl")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(SourceError, match="a link or device"):
        fastai_language_model(path.with_suffix(""))


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    content = archive(tmp_path / "a.tgz").read_bytes()
    path = tmp_path / "damaged.tgz"
    for damaged in (content[: len(content) // 2], content[:-4], b"<html>", b""):
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match="no archive, or truncated or altered"):
            fastai_language_model(path)
    flipped = io.BytesIO(content)
    flipped.seek(len(content) // 2)
    flipped.write(bytes([content[len(content) // 2] ^ 1]))
    path.write_bytes(flipped.getvalue())
    with pytest.raises((SourceError, BundleError)):
        fastai_language_model(path)
