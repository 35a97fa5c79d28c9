from gradual.pipelines.text_data.pipeline import create_classifier_pipeline, create_pipeline

__all__ = ["create_classifier_pipeline", "create_pipeline"]
