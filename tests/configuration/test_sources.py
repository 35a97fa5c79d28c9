"""`sources.yml`: what may stand there, and what is answered to what may not."""

from typing import Any

import pytest

from gradual.configuration.errors import ConfigurationError
from gradual.configuration.sources import read_sources, runs_of


def test_a_source_is_a_kind_or_a_kind_with_settings() -> None:
    sources = read_sources(
        {
            "imdb": {"kind": "texts", "backwards": True, "default": True},
            "wikitext": {"kind": "texts", "task": "language_model", "backwards": True},
            "adult": "tables",
            "gone": None,
            "ml": {"kind": "ratings", "folds": 2},
        }
    )
    assert [name for name, source in sources.items() if source.default] == ["imdb"]
    assert list(runs_of(sources)) == [
        "imdb", "imdb_backwards", "imdb_ensemble", "imdb_retrain", "wikitext", "wikitext_backwards",
        "adult", "adult_retrain", "ml", "ml_fold_1", "ml_fold_2", "ml_folds", "ml_retrain",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("config", "answer"),
    [
        ({"a": "table"}, "a is of kind 'table'.*Did you mean `tables`"),
        ({"a": {"folds": 3}}, "a has no kind: write `a: tables`"),
        ({"a": {"kind": "texts", "backward": True}}, "'backward'.*Did you mean `backwards`"),
        ({"a": {"kind": "tables", "backwards": True}}, "'backwards' is no setting of tables"),
        ({"a": {"kind": "tables", "folds": 1}}, "folds is 1: write their number"),
        ({"a": "texts", "b": {"kind": "texts", "language_model": "aa"}}, "'aa', which is no sou"),
        ({"a": "tables", "b": {"kind": "texts", "language_model": "a"}}, "no source of texts"),
        ({"a-b": "tables"}, "'a-b' is no name for a source"),
        (
            {"a": {"kind": "texts", "backwards": True}, "a_backwards": "texts"},
            "a and a_backwards both make a_backwards: give one of the two another name",
        ),
    ],
)
def test_what_cannot_be_used_is_answered_with_what_to_write(
    config: dict[str, Any], answer: str
) -> None:
    with pytest.raises(ConfigurationError, match=answer):
        read_sources(config)
