from gradual.pipelines.text_ensemble.pipeline import create_pipeline

__all__ = ["create_pipeline"]
