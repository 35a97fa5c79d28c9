"""What each kind of source says of its rows: what they ask, what they say, what needs no model."""

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.collab.ratings import RatingsConfig
from gradual.collab.recommender import ListsConfig
from gradual.collab.train import CollabConfig
from gradual.pipelines.ratings.retraining import Subject as Ratings
from gradual.pipelines.tables.retraining import Subject as Table
from gradual.pipelines.texts.retraining import Subject as Texts
from gradual.retraining.config import RetrainConfig
from gradual.retraining.judging import judge
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig
from gradual.tabular.rows import RowsConfig
from gradual.tabular.targets import TargetConfig
from gradual.text.documents import DocumentsConfig
from gradual.text.tokenizer import TokenizerConfig


def table(target: TargetConfig) -> Table:
    return Table(PreprocessingConfig(ColumnsConfig(continuous=("age",))), target, RowsConfig())


def test_a_row_of_a_table_without_a_target_is_not_asked() -> None:
    rows = pa.table({"age": [1, 2, 3], "rich": [" yes", None, "no "]})
    subject = table(TargetConfig("binary", ("rich",), positive="yes"))
    asked, truth = subject.asked(rows)
    assert asked["age"].tolist() == [1, 3]
    assert list(truth.values) == ["yes", "no"], "as models name them"
    assert subject.columns == {"age": "continuous", "rich": "label"}
    answers = subject.baselines(rows, asked)["constant"]
    assert answers["probability_yes"].tolist() == [0.5, 0.5]


def test_several_labels_and_numbers_of_a_table() -> None:
    rows = pa.table({"age": [1, 2], "wet": ["yes", "0"], "cold": [True, True], "cost": [1.5, 2]})
    _, truth = table(TargetConfig("multilabel", ("wet", "cold"))).asked(rows)
    assert list(truth.values) == [["wet", "cold"], ["cold"]]
    _, truth = table(TargetConfig("regression", ("cost",), log=True)).asked(rows)
    assert (truth.kind, truth.values.tolist()) == ("regression_log", [[1.5], [2.0]])


def test_texts_without_a_label_are_not_asked_and_need_no_others_to_train_on() -> None:
    config = DocumentsConfig(labels={"pos": "good", "neg": "bad"}, unlabelled=("unsup",))
    subject = Texts(config, TokenizerConfig())
    rows = pa.table({"text": ["a", "b", "c"], "label": ["pos", "unsup", "neg"]})
    asked, truth = subject.asked(rows)
    assert asked["text"].tolist() == ["a", "c"]
    assert (truth.kind, list(truth.values)) == ("binary", ["good", "bad"])
    assert subject.key == ("text",)


def test_who_only_takes_things_is_asked_for_lists_and_judged_beside_what_most_took() -> None:
    columns = RatingsConfig(user="who", item="what", rating=None, time=None)
    subject = Ratings(columns, CollabConfig(loss="softmax"), ListsConfig(n=3))
    users = np.repeat(np.arange(40), 3)
    training = pa.table({"who": users, "what": np.tile([7, 8, 9], 40)})
    held_out = pa.table({"who": np.arange(40), "what": np.repeat([1, 2], 20)})
    asked, truth = subject.asked(held_out)
    assert list(asked) == ["user"]
    assert len(truth) == 40
    right = pd.DataFrame({"row": range(40), "rank": 1, "item": ["1"] * 20 + ["2"] * 20})
    popular = subject.baselines(training, asked)
    assert set(popular) == {"popularity"}
    assert popular["popularity"].empty, "all have taken what is popular"
    judgement = judge(truth, right, popular, RetrainConfig(), first=True)
    assert (judgement.decision, judgement.metric) == ("promote", "ndcg@3")
    assert judgement.figures[0]["challenger"]["value"] == 1
