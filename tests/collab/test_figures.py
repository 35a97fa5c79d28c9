import numpy as np
import pandas as pd

from gradual.collab.figures import biases_figure, components_figure


def test_titles_are_of_the_most_rated_items_and_hide_none() -> None:
    frame = pd.DataFrame(
        {
            "title": ["much rated", "right beside it", "far away"],
            "component_1": [0.0, 0.001, 9.0],
            "component_2": [0.0, 0.001, 5.0],
            "ratings": [100, 50, 1],
        }
    )
    figure = components_figure(frame)
    assert list(figure.data[0].text) == ["much rated", "", "far away"]
    assert figure.data[0].customdata[1][0] == "right beside it"


def test_both_ends_of_the_biases_are_drawn() -> None:
    bias = np.linspace(1, -1, 50)
    frame = pd.DataFrame({"title": [f"film {k}" for k in range(50)], "bias": bias, "ratings": 7})
    drawn = list(biases_figure(frame, each=3).data[0].x)
    assert drawn == [*bias[-3:][::-1], *bias[:3][::-1]]


def test_a_model_without_biases_gives_an_empty_figure() -> None:
    frame = pd.DataFrame({"item": [], "title": [], "bias": [], "ratings": []})
    assert biases_figure(frame) is None
