"""Pages and figures that say how good a model is."""
