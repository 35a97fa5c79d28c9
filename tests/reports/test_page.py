import json
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from markupsafe import Markup

from gradual.reports import figures
from gradual.reports.page import (
    Block,
    Heading,
    Material,
    Note,
    Quote,
    Section,
    Table,
    flatten,
    html_page,
    write,
)
from gradual.results.predictions import choose_examples
from gradual.results.table import Answers, score_models


@pytest.fixture
def page(predictions: pd.DataFrame) -> str:
    history = pd.DataFrame({"phase": [1], "train_loss": [1.0], "valid_loss": [0.9]})
    settings = {"batch_size": 32, "phases": ({"epochs": 1, "lr": 0.02}, {"lr": (1e-3, 0.01)})}
    drawn = [figures.confusion_matrix_figure(predictions), figures.roc_figure(predictions)]
    return html_page(
        "Reviews <b>",
        "A headline",
        [
            Section("Predictions", [drawn, Table(choose_examples(predictions))]),
            Section("Training", [figures.training_figure(history)]),
            Section("What it writes", [Quote("it & more </blockquote>", "I <i>liked</i>")]),
            Section("The run", [{"tokens": 123456, "classifier": settings}]),
        ],
    )


def test_page_has_everything(page: str) -> None:
    for text in (
        "A headline",
        "most wrong",
        "Confusion matrix",
        "Training",
        "123,456",
        "classifier.batch_size</td><td>32",
        "epochs 1, lr 0.02; lr (0.001, 0.01)",
    ):
        assert text in page


def test_cells_of_markup_stand_as_they_are() -> None:
    cell = Markup("<mark>{}</mark>").format("<i>")
    page = html_page("T", "H", [Section("", [Table(pd.DataFrame({"a": [cell]}, dtype=object))])])
    assert "<td><mark>&lt;i&gt;</mark></td>" in page


def test_page_escapes_what_came_from_data(page: str) -> None:
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; co" in page
    assert "<script>alert" not in page
    assert "Reviews &lt;b&gt;" in page
    assert "I &lt;i&gt;liked&lt;/i&gt;" in page
    assert "it &amp; more &lt;/blockquote&gt;" in page


def test_page_needs_no_network_and_has_plotly_once(page: str) -> None:
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert page.count("* plotly.js v") == 1
    assert page.count('class="plotly-graph-div"') == 3


def test_hostile_class_names_do_not_break_out(predictions: pd.DataFrame) -> None:
    hostile = "</script><script>alert(1)</script>"
    renamed = predictions.replace({"positive": hostile}).rename(
        columns=lambda name: name.replace("positive", hostile)
    )
    drawn = [figures.confusion_matrix_figure(renamed), figures.roc_figure(renamed)]
    blocks = [drawn, Table(choose_examples(renamed))]
    assert "<script>alert" not in html_page("T", "H", [Section("", blocks)])


def test_page_without_figures_is_small() -> None:
    assert len(html_page("T", "H", [])) < 10_000


def test_a_page_is_its_sections_in_order_and_escapes_every_kind_of_block() -> None:
    frame = pd.DataFrame({"who <i>": ["<b>net</b>"], "RMSE": ["0.12"]})
    blocks: list[Block] = [
        "plain <p>",
        Note("small <p>"),
        Heading("inside <p>"),
        Quote("said <p>", prompt="asked <p>"),
        Table(frame, numbers=["RMSE"]),
        {"rows": 12345, "nested": {"rate": 0.5}},
    ]
    page = html_page("T <p>", "H <p>", [Section("", ["first"]), Section("S <p>", blocks)])
    texts = ["T", "H", "first", "S", "plain", "small", "inside", "asked", "said"]
    places = [page.index(f"{text} &lt;p&gt;" if text != "first" else text) for text in texts]
    assert places == sorted(places)
    assert "<h2>S &lt;p&gt;</h2>" in page
    assert page.count("<h2>") == 1, "a section without a title has no heading"
    assert "&lt;b&gt;net&lt;/b&gt;" in page
    assert '<td class="number">0.12</td>' in page
    assert "nested.rate</td><td>0.5" in page
    assert "plotly" not in page


def test_flatten_names_leaves_with_dots() -> None:
    assert flatten({"a": 1, "b": {"c": [2, 3], "d": {"e": None}}}) == [
        ("a", 1),
        ("b.c", [2, 3]),
        ("b.d.e", None),
    ]


def test_a_method_declares_sections_and_what_is_not_drawn_is_left_out() -> None:
    drawn = figures.draw_all(
        {"curve": lambda rows: go.Figure(go.Scatter(y=rows)), "matrix": lambda rows: None}, [1, 2]
    )
    assert list(drawn) == ["curve", "matrix"]
    assert not figures.is_drawn(drawn["matrix"])
    assert not figures.is_drawn(go.Figure(json.loads(drawn["matrix"].to_json()))), "stored, too"

    def pictures(m: Material) -> Section:
        return Section("Pictures", [m.drawn("curve", "matrix", "unknown")])

    def nothing(m: Material) -> None:
        return None

    material = Material({"headline": "All is well."}, pd.DataFrame(), drawn)
    page = write("Models", (nothing, pictures), material)
    assert page.count('class="plotly-graph-div"') == 1
    assert "All is well." in page


def test_models_are_compared_from_result_rows() -> None:
    truth = np.arange(40) % 2
    found = {"net": 0.8 * truth + 0.1, "line": np.full(40, 0.5)}
    frame = score_models(
        [Answers(name, np.stack([1 - p, p], 1)) for name, p in found.items()],
        truth,
        "binary",
        source="s",
    ).frame
    figure = figures.comparison_figure(frame, "net", names={"net": "Net"}, metrics=["accuracy"])
    assert list(figure.data[0].y) == ["Net", "line"]
    assert figure.layout.xaxis.tickformat == ".1%"
    assert figures.comparison_figure(frame, "net", part="valid") is None


def test_numbers_and_gaps_are_written_in_one_way() -> None:
    frame = pd.DataFrame({"rate": [0.123456, np.nan], "n": [1, 2], "who": ["a", None]})
    page = html_page("T", "H", [Section("", [Table(frame, titles={"rate": "Rate"})])])
    assert '<th class="number">Rate</th>' in page
    assert '<td class="number">0.1235</td>' in page
    assert page.count("–</td>") == 2
