from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from model_bundles import KINDS, bundle_of, people, questions

from gradual import tracking
from gradual.models import Model, model_of
from gradual.tracking import proof
from gradual.tracking.proof import prove, smoke_rows

Experiment = Callable[[Path], AbstractContextManager[mlflow.MlflowClient]]
ANSWERING = [kind for kind in KINDS if kind != "language_model"]
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def client(
    experiment: Experiment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[mlflow.MlflowClient]:
    with experiment(tmp_path_factory.mktemp("proof")) as found:
        yield found


def logged(kind: str) -> str:
    with mlflow.start_run():
        uri = tracking.log_model(bundle_of(kind), name=kind)
    assert uri is not None
    return uri


def raw(kind: str) -> pd.DataFrame:
    """Rows as a source has them: ids are numbers, other columns stand beside."""
    if kind.startswith("tabular"):
        return people().to_pandas()
    if kind == "collab":
        return pd.DataFrame({"user": [5, 15, 3], "item": ["m3", "m1", "m2"], "rating": 3.0})
    return questions(kind)


@pytest.mark.parametrize(
    "kind",
    # With words comes spaCy, which takes seconds.
    [
        pytest.param(k, marks=SLOW) if k.startswith("text") and k != "text_ngrams" else k
        for k in ANSWERING
    ],
)
def test_rows_are_asked_with_gaps_and_with_values_that_nobody_has_seen(kind: str) -> None:
    model = model_of(bundle_of(kind))
    rows = smoke_rows(model, raw(kind))
    assert list(rows) == list(model.example)
    unknown, gaps = rows.iloc[-2], rows.iloc[-1]
    assert "qzxwv unseen" in unknown.tolist()
    if not kind.startswith("text"):  # a text that is missing has no answer
        assert gaps.isna().any()
    if kind.startswith("tabular"):
        assert np.isnan(unknown["age"])
        assert gaps.isna().all()
    assert len(model.predict(rows)) >= len(rows)


@pytest.mark.parametrize(
    "kind",
    [k if k == "collab" else pytest.param(k, marks=SLOW)
     for k in ANSWERING],
)  # fmt: skip
@pytest.mark.usefixtures("client")
def test_a_logged_model_is_proved_in_a_process_of_its_own(kind: str) -> None:
    found = prove(logged(kind), model_of(bundle_of(kind)), raw(kind))
    assert found.proved, found.sentence
    assert found.difference is not None
    assert found.difference <= found.tolerance
    assert "with gaps and unknown values" in found.sentence


def test_users_alone_are_asked_for_their_lists() -> None:
    model = model_of(bundle_of("collab"))
    rows = smoke_rows(model, pd.DataFrame({"user": [5, 15]}))
    assert rows["user"].tolist() == ["5", "15", "qzxwv unseen", None]
    assert set(model.predict(rows)["row"]) == {0, 1, 2, 3}


class Shifted(Model):
    """A model that gives other probabilities than its bundle's."""

    def __init__(self, model: Model, by: float) -> None:
        self._model, self._by = model, by

    example = property(lambda self: self._model.example)
    _column, _build, _explain = None, None, None

    def _predict(self, frame: pd.DataFrame, **settings: object) -> pd.DataFrame:
        raise NotImplementedError

    def predict(self, frame: pd.DataFrame, **settings: object) -> pd.DataFrame:
        answers = self._model.predict(frame)
        return answers.assign(probability_yes=answers["probability_yes"] + self._by)


@pytest.mark.usefixtures("client")
def test_one_that_answers_otherwise_or_does_not_load_is_not_proved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri, model = logged("tabular_baseline"), model_of(bundle_of("tabular_baseline"))
    found = prove(uri, Shifted(model, 0.001), raw("tabular"))
    assert not found.proved
    assert "answer 0 has probability_yes" in found.sentence
    assert found.difference == pytest.approx(0.001, rel=0.01)

    place = Path(mlflow.get_logged_model(uri.removeprefix("models:/")).artifact_location[7:])
    (place / "artifacts" / "model.safetensors").write_bytes(b"cut short")
    found = prove(uri, model, raw("tabular"))
    assert not found.proved
    assert "a fresh process cannot load it or answer" in found.sentence
    assert "unreadable, cut short or altered" in found.sentence

    assert not prove(uri, model, raw("tabular"), timeout=0.1).proved


def test_answers_agree_within_the_tolerance_and_gaps_with_gaps() -> None:
    one = pd.DataFrame(
        {
            "label": [["a"], [], None],
            "p": [0.1, np.nan, 1000.0],
            "n": pd.array([1, None, 2], "Int64"),
        }
    )
    other = pd.DataFrame(
        {
            "label": [np.array(["a"]), np.array([]), None],
            "p": [0.10005, None, 1000.05],
            "n": [1, None, 2],
        }
    )
    assert proof._compare(one, other, 1e-4)[1] is None
    assert "p 1000.0 here and 1001.0" in str(
        proof._compare(one, other.assign(p=[0.1, None, 1001]), 1e-4)
    )
    assert "p None here and 0.5" in str(proof._compare(one, other.assign(p=[0.1, 0.5, 1000]), 1e-4))
    assert "label ['a'] here" in str(proof._compare(one, other.assign(label=["a", [], None]), 1e-4))
    assert "columns" in str(proof._compare(one, other[["label"]], 1e-4))
