"""`artifacts.yml`: one entry of the catalog for each name in each namespace."""

import pytest
from kedro.io.catalog_config_resolver import CatalogConfigResolver

from gradual.configuration.artifacts import catalog_entries
from gradual.configuration.errors import ConfigurationError

ARTIFACTS = {
    "forms": {
        "frame": {"type": "gradual.io.ParquetDataset", "suffix": ".parquet", "rows": 20},
        "figure": {"type": "P", "suffix": ".json", "folder": "figures", "mlflow": "figures"},
        "bundle": {"type": "gradual.io.BundleDataset", "suffix": ".safetensors"},
        "optional": {"type": "S"},
    },
    "01_raw": {"optional": ["items_source"]},
    "06_models": {"bundle": [{"classifier": {"kind": "text_classifier"}}]},
    "07_model_output": {"frame": ["{stage}_history"]},
    "08_reporting": {"figure": [{"{figure}_plot": {"file": "{figure}"}}]},
}


def test_names_become_entries_with_file_layer_and_preview() -> None:
    entries = catalog_entries(ARTIFACTS, ["x", "y"], "data/tiny")
    assert len(entries) == 8
    assert entries["x.items_source"] == {"type": "S", "metadata": {"kedro-viz": {"layer": "raw"}}}
    assert entries["y.classifier"] == {
        "type": "gradual.io.BundleDataset",
        "kind": "text_classifier",
        "filepath": "data/tiny/06_models/y/classifier.safetensors",
        "metadata": {"kedro-viz": {"layer": "models"}},
    }
    assert entries["x.{figure}_plot"] == {
        "type": "P",
        "filepath": "data/tiny/08_reporting/x/figures/{figure}.json",
        "metadata": {"kedro-viz": {"layer": "reporting"}, "mlflow": {"artifact_path": "figures"}},
    }
    viz = entries["x.{stage}_history"]["metadata"]["kedro-viz"]
    assert viz == {"layer": "model output", "preview_args": {"nrows": 20}}


def test_no_pattern_matches_a_parameter_or_another_source() -> None:
    resolver = CatalogConfigResolver(catalog_entries(ARTIFACTS, ["x"], "data"), {}, {"{d}": {}})
    assert resolver.match_dataset_pattern("x.net_history") == "x.{stage}_history"
    for name in ("params:x.net_history", "params:x.classifier", "z.net_history"):
        assert name not in resolver.config
        assert resolver.match_dataset_pattern(name) is None


def test_a_form_that_is_not_described_and_a_name_that_stands_twice_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'fram' is none of.*Did you mean `frame`"):
        catalog_entries(ARTIFACTS | {"03_primary": {"fram": ["tokens"]}}, ["x"], "data")
    with pytest.raises(ConfigurationError, match="classifier stands there twice"):
        catalog_entries(ARTIFACTS | {"03_primary": {"frame": ["classifier"]}}, ["x"], "data")
