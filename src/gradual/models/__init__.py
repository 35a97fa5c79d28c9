"""Trained models of all kinds, asked in one way: `gradual.load` finds them by their bundle."""

from gradual.models.model import KINDS, Model, model_of, with_settings

__all__ = ["KINDS", "Model", "model_of", "with_settings"]
