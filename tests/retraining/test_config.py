"""The group `retrain`: what is refused, and in which words."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gradual.retraining.config import RetrainConfig

CONFIG = TypeAdapter(RetrainConfig)


def test_what_yaml_says_is_read() -> None:
    said = {"key": ["id"], "floors": {"accuracy": 0.8}, "notify": {"command": "mail me"}}
    config = CONFIG.validate_python(said)
    assert config.key == ("id",)
    assert config.notify.command == "mail me"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({"held_out": 1.0}, "held_out is 1.0: give a share"),
        ({"key": ["a", "a"]}, "name each column once"),
        ({"max_broken": 1.5}, "max_broken is 1.5"),
        ({"max_drift_auc": 0.4}, "give an area from 0.5"),
        ({"on_drift": "go on"}, "'warn', 'stop' or 'ignore'"),
        ({"margin": -0.1}, "margin is -0.1"),
        ({"floors": {"rich": float("nan")}}, "floors is"),
        ({"max_minutes": 0}, "max_minutes is 0"),
        ({"keep": 0}, "keep is 0"),
        ({"notify": {"url": "example.com"}}, "begin with https://"),
        ({"helds_out": 0.1}, "helds_out"),
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any], answer: str) -> None:
    with pytest.raises(ValidationError, match=answer):
        CONFIG.validate_python(said)
