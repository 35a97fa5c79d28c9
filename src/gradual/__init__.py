"""gradual: text, tables and ratings to trained, tracked, retrainable models."""

__version__ = "0.1.0"
