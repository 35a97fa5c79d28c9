"""Tables to models."""

from gradual.pipelines import Build, under


def pipelines(name: str) -> dict[str, Build]:
    """Return what builds each pipeline of a table, by the name that ``kedro run`` takes."""
    package = "gradual.pipelines.tables.pipeline"
    return {
        name: under(name, f"{package}:create_pipeline"),
        f"{name}_predict": under(name, f"{package}:create_prediction_pipeline"),
        f"{name}_range_test": under(name, f"{package}:create_range_test_pipeline"),
    }
