from gradual.pipelines.text_data.pipeline import create_pipeline

__all__ = ["create_pipeline"]
