from gradual.pipelines.text_classifier.pipeline import create_pipeline

__all__ = ["create_pipeline"]
