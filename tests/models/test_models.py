import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from model_bundles import KINDS, bundle_of, people, questions

import gradual
from gradual.collab.recommender import Recommender
from gradual.models import KINDS as TABLE
from gradual.models import Model, model_of, with_settings
from gradual.models.model import class_of
from gradual.text.bundles import members_of
from gradual.text.classifier import TextClassifier
from gradual.text.generation import GenerationConfig, generate, generate_words
from gradual.training.bundle import Bundle, BundleError, save_bundle

PREDICTED = {
    "text_classifier": ["label", "probability_negative", "probability_positive"],
    "text_ensemble": ["label", "probability_negative", "probability_positive"],
    "text_ngrams": ["label", "probability_negative", "probability_positive"],
    "text_stack": ["label", "probability_negative", "probability_positive"],
    "language_model": ["text"],
    "tabular": ["label", "probability_no", "probability_yes"],
    "tabular_baseline": ["label", "probability_no", "probability_yes"],
    "collab": ["row", "user", "rank", "item", "title", "score", "fallback"],
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def model(kind: str) -> Model:
    return model_of(bundle_of(kind), device="cpu")


def test_every_kind_is_tested() -> None:
    assert set(KINDS) == set(TABLE)


def test_a_file_of_any_kind_is_loaded_and_answers(kind: str, tmp_path: Path) -> None:
    save_bundle(bundle_of(kind), tmp_path / "model.safetensors")
    found = gradual.load(tmp_path / "model.safetensors", device="cpu")
    answer = found.predict(questions(kind))
    assert list(answer.columns) == PREDICTED[kind]
    if kind != "collab":
        assert len(answer) == 2
    again = gradual.load(str(tmp_path / "model.safetensors"), device="cpu").predict(questions(kind))
    pd.testing.assert_frame_equal(answer, again)


def test_the_example_shows_how_to_ask(kind: str) -> None:
    found = model(kind)
    assert list(found.example.columns) == list(questions(kind).columns)
    assert len(found.predict(found.example)) >= 1
    assert "row" in found.explain(found.example)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import gradual, sys; gradual.load; "
        "print({'torch', 'pandas', 'mlflow', 'kedro', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no such bundle"):
        gradual.load(tmp_path / "none.safetensors")
    save_bundle(Bundle("os:system", {}, {}, {}, {}), tmp_path / "odd.safetensors")
    with pytest.raises(BundleError, match=r"'os:system' bundle is no model .* text_classifier"):
        gradual.load(tmp_path / "odd.safetensors")


def test_a_setting_that_is_not_there_is_refused_by_name(kind: str) -> None:
    with pytest.raises(ValueError, match="no setting 'speed'"):
        model(kind).predict(questions(kind), speed=3)
    with pytest.raises(ValueError, match="no setting 'speed'"):
        model(kind).explain(questions(kind), speed=3)
    with pytest.raises(ValueError, match="no setting 'speed'"):
        model_of(with_settings(bundle_of(kind), {"speed": 3}))


@pytest.mark.parametrize("kind", ["text_classifier", "text_ensemble", "language_model"])
def test_a_bundle_runs_no_function_that_the_reader_does_not_name(kind: str, tmp_path: Path) -> None:
    bundle, metadata = bundle_of(kind), bundle_of(kind).metadata
    rules = [*bundle_of("text_classifier").metadata["tokenizer"]["rules"], "model_bundles:same"]
    if kind == "text_ensemble":
        first, *rest = metadata["members"]
        tokenizer = {**first["tokenizer"], "rules": rules}
        metadata = {"members": [{**first, "tokenizer": tokenizer}, *rest]}
    else:
        metadata = {**metadata, "tokenizer": {**metadata["tokenizer"], "rules": rules}}
    path = tmp_path / "downloaded.safetensors"
    save_bundle(dataclasses.replace(bundle, metadata=metadata), path)
    with pytest.raises(ValueError, match=r"names 'model_bundles:same' .* allowed_rules"):
        gradual.load(path)
    found = gradual.load(path, device="cpu", allowed_rules=["model_bundles:same"])
    asked = questions(kind)
    pd.testing.assert_frame_equal(found.predict(asked), model(kind).predict(asked))
    assert len(found.explain(asked))


def test_no_row_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"there is no row: send at least one"):
        model(kind).predict(questions(kind).head(0))


def test_one_column_may_come_as_a_list() -> None:
    for kind in ("text_classifier", "text_stack", "text_ngrams", "language_model", "collab"):
        found, column = model(kind), questions(kind).columns[0]
        asked = questions(kind)[[column]]
        pd.testing.assert_frame_equal(found.predict(asked[column].tolist()), found.predict(asked))
        with pytest.raises(ValueError, match="a list of values of"):
            found.predict("one text")
    with pytest.raises(ValueError, match="give a DataFrame with the columns 'job', 'age', 'hired'"):
        model("tabular").predict(["cook"])


def test_settings_of_the_bundle_are_the_defaults_and_no_part_of_what_it_learned() -> None:
    bundle = bundle_of("collab")
    set_up = with_settings(bundle, {"min_ratings": 5, "n": 40})
    assert set_up.hash == bundle.hash
    found = model_of(set_up)
    assert found.settings == {"n": 40, "exclude_seen": True, "min_ratings": 5}
    counts = Recommender.from_bundle(bundle).counts
    rare = {f"m{k}" for k in range(30, 40)}
    listed = found.predict(["5"])["item"]
    assert len(listed) < 40
    assert not rare & set(listed)
    assert counts[found.recommender.item_ids.encode(listed)].min() >= 5
    assert rare & set(found.predict(["5"], min_ratings=0)["item"])
    seen = model_of(with_settings(bundle, {"exclude_seen": False, "n": 40})).predict(["5"])
    assert len(seen) == len(bundle.metadata["items"])


def test_a_language_model_writes_by_its_settings() -> None:
    found, bundle = model("language_model"), bundle_of("language_model")
    settings = {"words": 4, "temperature": 0.5, "top_k": 3, "min_p": 0.0, "seed": 1}
    written = found.predict(["A fine"], **settings)["text"][0]
    assert written == generate(bundle, "A fine", **settings, device="cpu")
    with pytest.raises(ValueError, match=r"temperature is -1: give 0 or more"):
        found.predict(["A fine"], temperature=-1)
    with pytest.raises(ValueError, match=r"no string in 1 of 2 rows \(row 1, counted from 0"):
        found.predict(["A", None])


def test_an_ensemble_is_one_bundle_that_gives_back_its_members() -> None:
    bundle = bundle_of("text_ensemble")
    members = members_of(bundle, "text_ensemble")
    assert members[0] == bundle_of("text_classifier")
    texts = questions("text_ensemble")
    each = [TextClassifier.from_bundle(m, device="cpu").predict(texts) for m in members]
    mean = np.mean([frame["probability_positive"] for frame in each], axis=0)
    np.testing.assert_allclose(model("text_ensemble").predict(texts)["probability_positive"], mean)


# -- why ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text_classifier", "text_ensemble", "text_ngrams", "text_stack"])
def test_the_word_that_decides_falls_most_when_it_is_left_out(kind: str) -> None:
    found = model(kind)
    text = "A fine film"
    why = found.explain([text])
    assert why["words"].tolist() == ["A", "fine", "film"]
    assert why["position"].tolist() == [0, 2, 7]
    assert set(why["label"]) == {"positive"}
    assert why.loc[why["fall"].idxmax(), "words"] == "fine"
    p = found.predict([text, "A film"])["probability_positive"]
    # The two texts differ by a blank only, which the tokenizer does not see.
    assert why["fall"][1] == pytest.approx(p[0] - p[1], abs=1e-5)
    assert why["probability"][1] == pytest.approx(p[0], abs=1e-6)


def test_a_long_text_loses_several_words_at_a_time_and_one_word_cannot_be_left_out() -> None:
    found = model("text_classifier")
    why = found.explain(["one two, three don't five six seven", "fine", "日本"], pieces=3)
    assert why["words"].tolist() == [
        "one two, three",
        "don't five six",
        "seven",
        "fine",
        "日",
        "本",
    ]
    assert why["row"].tolist() == [0, 0, 0, 1, 2, 2]
    assert why["fall"].isna().tolist() == [False, False, False, True, False, False]
    with pytest.raises(ValueError, match="pieces is 0"):
        found.explain(["fine"], pieces=0)


@pytest.mark.parametrize("kind", ["tabular", "tabular_baseline"])
def test_a_column_at_its_typical_value_moves_the_prediction(kind: str) -> None:
    found = model(kind)
    rows = pd.DataFrame(
        {
            "job": ["pilot", "cook"],
            "age": [35.0, None],
            "hired": ["2021-03-01", "2020-06-01"],
        }
    )
    why = found.explain(rows)
    assert why["row"].tolist() == [0, 0, 0, 1, 1, 1]
    assert why["column"].tolist() == ["job", "age", "hired"] * 2
    label = found.predict(rows)["label"][0]
    assert set(why["output"][:3]) == {label}
    fill = float(people()["age"].to_pandas().iloc[100:].median())
    job = why.iloc[0]
    assert (job["value"], job["typical"]) == ("pilot", "cook")
    typical = rows.assign(job="cook")
    p = [found.predict(frame)[f"probability_{label}"][0] for frame in (rows, typical)]
    assert job["prediction"] == pytest.approx(p[0])
    assert job["contribution"] == pytest.approx(p[0] - p[1], abs=1e-6)
    assert why["typical"][1] == pytest.approx(fill, abs=2)
    assert why["contribution"][3] == 0, "a cook is typical"


def test_the_parts_of_a_score_add_up_and_name_what_the_user_rated() -> None:
    found = model("collab")
    why = found.explain(pd.DataFrame({"user": ["5", "nobody"], "item": ["m3", None]}), similar=2)
    pair = why[why["row"] == 0]
    parts = ["average", "user bias", "item bias", "taste"]
    assert pair["part"].tolist() == [*parts, "rated item", "rated item"]
    score = found.predict(pd.DataFrame({"user": ["5"], "item": ["m3"]}))["score"][0]
    assert pair["value"][:4].sum() == pytest.approx(score, abs=1e-6)
    known = found.recommender
    user = known.user_ids.encode(["5"])[0]
    rated = known.titles[
        known.rated.items[known.rated.offsets[user] : known.rated.offsets[user + 1]]
    ]
    near = known.similar(["m3"], n=100).set_index("similar")["cosine"]
    near = near[near.index.isin([title for title in rated if title != "m3"])].head(2)
    assert pair["other"].tolist()[4:] == near.index.tolist()
    np.testing.assert_allclose(pair["value"][4:], near, rtol=1e-5)
    stranger = why[why["row"] == 1]
    assert stranger["item"].nunique() == 10, "every item of the list is explained"
    assert set(stranger["part"]) == set(parts)
    assert stranger[stranger["part"].isin(["user bias", "taste"])]["value"].abs().max() < 1e-6


def test_a_language_model_names_the_most_probable_next_words() -> None:
    why = model("language_model").explain(["A fine", ""], n=5)
    assert why["row"].tolist() == [0] * 5 + [1] * 5
    assert why["rank"].tolist() == [1, 2, 3, 4, 5] * 2
    first = why[why["row"] == 0]["probability"]
    assert first.is_monotonic_decreasing
    everything = model("language_model").explain(["A fine"], n=10_000)
    assert everything["probability"].sum() == pytest.approx(1, abs=1e-4)
    bundle, choice = bundle_of("language_model"), GenerationConfig(("A fine",), 1, temperature=0)
    written = generate_words(bundle, choice, device="cpu")[0][-1]
    allowed = everything[~everything["word"].isin(["xxunk", "xxpad"])]
    assert allowed["word"].iloc[0] == written, "the likeliest word is written at temperature 0"
    with pytest.raises(ValueError, match="n is 0"):
        model("language_model").explain(["A"], n=0)


def test_a_text_model_names_the_packages_of_its_tokenizer() -> None:
    def needed(kind: str, *tokenizers: dict[str, Any]) -> set[str]:
        members = [{"tokenizer": tokenizer} for tokenizer in tokenizers]
        metadata = {"members": members} if kind == "text_ensemble" else members[0]
        config = {"members": [{}] * len(members)}
        bundle = Bundle(kind, config, {}, metadata, {})
        return class_of(kind).requirements(bundle)

    assert needed("text_classifier", {}) == {"spacy", "tqdm"}
    assert "sentencepiece" in needed("language_model", {"unit": "subword"})
    assert "sudachipy" in needed("text_classifier", {"unit": "word", "language": "ja"})
    assert "wcwidth" in needed("text_ensemble", {}, {"unit": "character"})
    assert needed("text_ngrams", {}) == {"scikit-learn"}
    stack = class_of("text_stack").requirements(bundle_of("text_stack"))
    assert stack == {"scikit-learn", "spacy", "tqdm"}
