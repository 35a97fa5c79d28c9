"""One rule for recipe, source, environment and command line."""

import doctest

from gradual.configuration import errors, merge


def test_the_examples_of_the_docstrings_hold() -> None:
    for module in (merge, errors):
        result = doctest.testmod(module)
        assert result.attempted
        assert not result.failed


def test_neither_layer_is_changed() -> None:
    recipe = {"net": {"phases": [1], "training": {"seed": 1}}}
    merged = merge.merge(recipe, {"net": {"training": {"lr": 2}}})
    merged["net"]["training"]["seed"] = 3
    assert recipe == {"net": {"phases": [1], "training": {"seed": 1}}}


def test_another_method_replaces_a_split_and_the_same_one_merges() -> None:
    recipe = {"rows": {"test": {"method": "random", "fraction": 0.2, "seed": 42}}}
    last = {"rows": {"test": {"method": "last", "column": "date"}}}
    assert merge.merge(recipe, last)["rows"]["test"] == {"method": "last", "column": "date"}
    half = {"rows": {"test": {"method": "random", "fraction": 0.5}}}
    assert merge.merge(recipe, half)["rows"]["test"]["seed"] == 42
    assert merge.merge(recipe, {"rows": {"test": None}})["rows"] == {"test": None}
