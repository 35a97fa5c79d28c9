"""What `mlflow models serve` answers: real servers, real requests."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests
from model_bundles import bundle_of
from model_server import Server, serve

from gradual import tracking
from gradual.tracking import Registration

pytestmark = pytest.mark.slow
KINDS = ("text_stack", "tabular", "collab")
PERSON = {"job": "cook", "age": 31, "hired": "2020-01-01"}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(
    kind: str,
    experiment: Callable[[Path], AbstractContextManager[mlflow.MlflowClient]],
    tracking_uri: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A server of the registered champion."""
    folder = tmp_path_factory.mktemp(kind)
    with experiment(folder):
        with mlflow.start_run():
            registration = Registration(f"asked_{kind}", "champion")
            tracking.log_model(bundle_of(kind), registration=registration)
        with serve(f"models:/asked_{kind}@champion", tracking_uri, folder) as found:
            yield found


def ask(server: Server, content: Any, form: str = "application/json") -> requests.Response:
    """Send JSON, or a text as it is."""
    body = content if isinstance(content, str) else json.dumps(content)
    headers = {"Content-Type": form}
    return requests.post(f"{server.url}/invocations", body, headers=headers, timeout=60)


def record(*, params: Any = None, **values: Any) -> dict[str, Any]:
    return {"dataframe_records": [values], **({} if params is None else {"params": params})}


def text(value: Any) -> dict[str, Any]:
    return record(text=value)


def person(**changed: Any) -> dict[str, Any]:
    return record(**PERSON | changed)


def user(**params: Any) -> dict[str, Any]:
    return record(user="5", params=params)


ANSWERED: dict[str, list[Any]] = {
    "text_stack": [
        {"dataframe_split": {"columns": ["text"], "data": [["fine"], ["dull"]]}},
        {"dataframe_records": [{"text": "fine"}, {"text": "dull"}]},
        {"inputs": ["fine", "dull"]},
        {"inputs": {"text": ["fine", "dull"]}},
        {"instances": ["fine", "dull"]},
        {"dataframe_records": [{"text": "fine", "id": 1}, {"text": "\x00 word", "id": 2}]},
    ],
    "tabular": [
        {"dataframe_records": [PERSON, PERSON]},
        {"dataframe_records": [PERSON, {**PERSON, "age": "31"}]},
        '{"dataframe_records": [{"job": "cook", "age": NaN, "hired": null}, {"job": 5, "age": 1, '
        '"hired": "2020-01-01"}]}',
        {"dataframe_records": [{**PERSON, "job": "x" * 10**6}, {**PERSON, "age": 10**30}]},
    ],
    "collab": [
        {"dataframe_records": [{"user": "5", "item": "m3"}, {"user": 5, "item": "new"}]},
        {"dataframe_records": [{"user": "5"}], "params": {"n": 2}},
        {"dataframe_records": [{"user": None, "item": "m3"}, {"user": "?", "item": None}],
         "params": {"n": 1}},
    ],
}  # fmt: skip

#: What is sent, and what the refusal has to name.
REFUSED: dict[str, dict[str, tuple[Any, str]]] = {
    "text_stack": {
        "another column": (record(review="fine"), "text"),
        "no text": (text(None), "row 0 .*'text'"),
        "not a number": ('{"dataframe_records": [{"text": NaN}]}', "row 0 .*'text'"),
        "a number": (text(5), "row 0 is 5.*'text'"),
        "a truth value": (text(True), "row 0 is True.*'text'"),
        "a list": (text(["fine"]), "row 0 .*'text'"),
        "a mapping": (text({"en": "fine"}), "row 0 .*'text'"),
        "blanks": (text(" \n"), "row 0 is blank.*'text'"),
        "a gap in the second row": ({"dataframe_records": [{"text": "a"}, {}]}, "row 1 .*'text'"),
        "a text of 1 MB": (text("a fine film " * 87_000), "row 0 .*1,044,000 .*'text'"),
        "a word of 1 MB": (text("x" * 10**6), "row 0 .*1,000,000 .*'text'"),
        "a column twice": (
            {"dataframe_split": {"columns": ["text", "text"], "data": [["a", "b"]]}},
            "",  # MLflow stumbles over it first
        ),
        "nested inputs": ({"inputs": [["fine"]]}, "text"),
    },
    "tabular": {
        "a column too few": (record(job="cook", hired="2020-01-01"), "'age'"),
        "another column": (record(job="cook", years=31, hired="2020-01-01"), "'age'"),
        "a word for a number": (person(age="young"), "row 0 .*'young'.*'age'"),
        "an infinite number": (
            '{"dataframe_records": [{"job": "cook", "age": 1e999, "hired": "2020-01-01"}]}',
            "row 0 .*'age'",
        ),
        "a number too large": (person(age=10**300), "row 0 .*'age'"),
        "a list": (person(age=[31]), "row 0 .*'age'"),
        "a mapping": (person(job={"title": "cook"}), "row 0 .*'job'"),
        "a list in the second row": (
            {"dataframe_records": [PERSON, {**PERSON, "job": ["cook"]}]},
            "row 1 .*'job'",
        ),
        "a word for a date": (person(hired="yesterday"), "row 0 .*'yesterday'.*'hired'"),
        "a date that is none": (person(hired="2020-02-31"), "row 0 .*'hired'"),
        "a number for a date": (person(hired=5), "'hired'"),
        "a column twice": (
            {"dataframe_split": {"columns": ["job", "age", "age", "hired"],
                                 "data": [["cook", 1, 2, "2020-01-01"]]}},
            "",
        ),
    },
    "collab": {
        "another column": (record(customer="5"), "user"),
        "a list": (record(user=["5"]), "row 0 .*'user'"),
        "a mapping": (record(user="5", item={"id": "m3"}), "row 0 .*'item'"),
        "no whole number": (record(user=5.5), "user"),
        "n of 0": (user(n=0), "n is 0"),
        "n of 10**9": (user(n=10**9), "n is 1,000,000,000.*items"),
        "n of 10**30": (user(n=10**30), "'n'|\\bn\\b"),
        "a word for n": (user(n="many"), "\\bn\\b"),
        "half an n": (user(n=2.5), "\\bn\\b"),
        "a list for n": (user(n=[1]), "\\bn\\b"),
        "negative ratings": (user(min_ratings=-1), "min_ratings"),
        "a word for a truth value": (user(exclude_seen="maybe"), "exclude_seen"),
        "no parameters": (record(user="5", params=[1]), "[Pp]arameters"),
        "a gap beside a text": ({"inputs": [["5"], ["7"]]}, "user"),
    },
}  # fmt: skip

#: Requests that no model is asked with: the same for all.
UNREADABLE: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", "JSON"),
    "nothing": ("", "JSON"),
    "a list": ([], "dictionary"),
    "no rows by any known name": ({"rows": []}, "input fields"),
    "rows by two names": ({"dataframe_records": [], "inputs": []}, "input fields"),
    "null": ({"dataframe_records": None}, "list of records"),
    "no row": ({"dataframe_records": []}, "text|job|user"),
    "a ragged table": ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "columns"),
    "half a character": ('{"dataframe_records": [{"text": "\\ud800"}]}', "ud800"),
}


def test_rows_are_answered_in_every_layout(server: Server, kind: str) -> None:
    for content in ANSWERED[kind]:
        answer = ask(server, content)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["predictions"]) == 2


def test_a_bad_request_gets_400_and_the_field(server: Server, kind: str) -> None:
    wrong = {}
    for name, (content, field) in {**REFUSED[kind], **UNREADABLE}.items():
        answer = ask(server, content)
        said = answer.json().get("message", "") if answer.status_code == 400 else answer.text
        # The message quotes what was sent, which may name the field by chance.
        said = said.rpartition("Error: ")[2]
        if answer.status_code != 400 or not re.search(field, said, re.DOTALL):
            wrong[name] = f"{answer.status_code} {said[-300:]}"
    assert not wrong
    assert ask(server, "text\n", "text/xml").status_code == 415
    assert ask(server, ANSWERED[kind][0]).status_code == 200
