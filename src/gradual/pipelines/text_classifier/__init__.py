from gradual.pipelines.text_classifier.pipeline import create_pipeline, create_range_test_pipeline

__all__ = ["create_pipeline", "create_range_test_pipeline"]
