"""The catalog entries that `artifacts.yml` stands for."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gradual.configuration.errors import ConfigurationError, nearest


def catalog_entries(
    artifacts: Mapping[str, Any], namespaces: Iterable[str], data: str
) -> dict[str, dict[str, Any]]:
    """Return the catalog entry of each artifact in each namespace.

    A name with a placeholder, such as `{stage}_history`, becomes a dataset factory that begins
    with the namespace: no entry can match `params:…`.

    Args:
        artifacts: Content of `artifacts.yml`: forms, and names by layer and form.
        namespaces: Names of sources and variants.
        data: The folder under which each layer has its own.

    Returns:
        Catalog entries by `<namespace>.<name>`.

    Raises:
        ConfigurationError: A form is not described, or a name stands there twice.
    """
    templates = _templates(artifacts)
    return {
        f"{namespace}.{name}": _entry(template, namespace, data)
        for namespace in namespaces
        for name, template in templates.items()
    }


def _templates(artifacts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    forms = artifacts.get("forms", {})
    templates: dict[str, dict[str, Any]] = {}
    for folder, names_by_form in artifacts.items():
        if folder == "forms":
            continue
        for form, names in names_by_form.items():
            if form not in forms:
                raise ConfigurationError(
                    f"artifacts.yml: {folder}: {form!r} is none of the forms "
                    f"{', '.join(forms)}.{nearest(form, forms)}"
                )
            for item in names:
                name, own = next(iter(item.items())) if isinstance(item, Mapping) else (item, {})
                if name in templates:
                    raise ConfigurationError(f"artifacts.yml: {name} stands there twice")
                templates[name] = {"layer_folder": folder, "file": name, **forms[form], **own}
    return templates


def _entry(template: Mapping[str, Any], namespace: str, data: str) -> dict[str, Any]:
    arguments = dict(template)
    layer = arguments.pop("layer_folder")
    file, suffix = arguments.pop("file"), arguments.pop("suffix", None)
    folder, rows = arguments.pop("folder", None), arguments.pop("rows", None)
    artifact_path = arguments.pop("mlflow", None)
    if suffix is not None:  # without one nothing is stored: an optional input that is not there
        parts = [data, layer, namespace, folder, f"{file}{suffix}"]
        arguments["filepath"] = "/".join(part for part in parts if part)
    named = re.sub(r"^\d+_", "", layer).replace("_", " ")
    viz: dict[str, Any] = {"layer": arguments.pop("layer", named)}
    if rows is not None:
        viz["preview_args"] = {"nrows": rows}
    metadata: dict[str, Any] = {"kedro-viz": viz}
    if artifact_path is not None:
        metadata["mlflow"] = {"artifact_path": artifact_path}
    return {**arguments, "metadata": metadata}
