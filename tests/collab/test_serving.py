import pandas as pd
import pyarrow as pa
import pytest

from gradual.collab import serving
from gradual.collab.recommender import ListsConfig, Recommender
from gradual.collab.serving import answer, answer_source
from gradual.collab.train import CollabConfig, train_collab


@pytest.fixture(scope="module")
def recommender(ratings: pa.Table, parts: pa.Table, items: pa.Table) -> Recommender:
    bundle, _ = train_collab(ratings, parts, CollabConfig(), items=items)
    return Recommender.from_bundle(bundle)


def test_users_get_lists_and_pairs_get_scores(recommender: Recommender) -> None:
    questions = pd.DataFrame({"user": [5, 15, 5, "nobody"], "item": [None, "m3", None, None]})
    answers = answer(recommender, questions, n=4)

    assert answers["row"].tolist() == [0] * 4 + [1] + [2] * 4 + [3] * 4
    assert answers["rank"].tolist()[:4] == [1, 2, 3, 4]
    assert pd.isna(answers["rank"][4])
    assert answers["item"].tolist()[:4] == answers["item"].tolist()[5:9]
    alone = recommender.predict([15], ["m3"])["score"][0]
    assert answers["score"][4] == pytest.approx(alone)
    assert answers["title"][4] == "Film 3"
    assert set(answers["fallback"][-4:]) == {"popularity"}


def test_ids_may_come_as_text(recommender: Recommender) -> None:
    numbers = answer(recommender, pd.DataFrame({"user": [5], "item": ["m3"]}))
    texts = answer(recommender, pd.DataFrame({"user": ["5"], "item": ["m3"]}))
    assert numbers["score"].tolist() == texts["score"].tolist()


def test_unknown_pairs_say_so(recommender: Recommender) -> None:
    questions = pd.DataFrame({"user": [5, -1, -1], "item": ["new", "m3", "new"]})
    answers = answer(recommender, questions)
    assert answers["fallback"].tolist() == ["item", "user", "user and item"]
    assert answers["score"].between(0, 5.5).all()
    assert answers["score"][2] == pytest.approx(recommender.mean)
    assert answers["title"].isna().tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        (pd.DataFrame({"users": [1]}), r"no column 'user', only \['users'\]"),
        (pd.DataFrame({"user": []}), "there is no row"),
    ],
)
def test_a_bad_question_is_refused(
    recommender: Recommender, questions: pd.DataFrame, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        answer(recommender, questions)
    with pytest.raises(ValueError, match="n is 0"):
        answer(recommender, pd.DataFrame({"user": [5]}), n=0)


def test_answers_hold_what_the_models_own_lists_hold(ratings: pa.Table, parts: pa.Table) -> None:
    lists = ListsConfig(n=40, min_ratings=12, exclude_seen=False)
    bundle, _ = train_collab(ratings, parts, CollabConfig(), lists=lists)
    assert bundle.metadata["settings"] == {"n": 40, "min_ratings": 12, "exclude_seen": False}
    model = Recommender.from_bundle(bundle)
    answers = answer(model, pd.DataFrame({"user": [5, "nobody"]}))
    often = model.item_ids.decode((model.counts >= 12).nonzero()[0]).to_pylist()
    assert 0 < len(often) < len(model.items) - 1
    for row in (0, 1):
        assert set(answers.loc[answers["row"] == row, "item"]) == set(often)
    assert len(answer(model, pd.DataFrame({"user": [5]}), n=2, min_ratings=0)) == 2


def test_a_file_of_questions_is_answered_in_parts(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "ROWS", 2)
    asked = pd.DataFrame({"user": ["5", "nobody", "5"], "item": [None, None, "new"]})
    chunks = [pa.Table.from_pandas(asked)]
    reader, counts = answer_source(recommender, chunks)
    answers = reader.read_pandas()
    pd.testing.assert_frame_equal(answers, answer(recommender, asked), check_dtype=False)
    assert counts["fallback"] == {"none": 1, "popularity": 1, "item": 1}
    assert (counts["rows"], counts["answers"]) == (3, len(answers))
    with pytest.raises(ValueError, match="there is no row"):
        answer_source(recommender, [])
