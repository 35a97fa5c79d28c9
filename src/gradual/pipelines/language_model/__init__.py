from gradual.pipelines.language_model.pipeline import create_pipeline, create_range_test_pipeline

__all__ = ["create_pipeline", "create_range_test_pipeline"]
