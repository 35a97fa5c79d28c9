"""A retrain: what stands round a kind's own pipeline to train and promote challengers by itself."""
