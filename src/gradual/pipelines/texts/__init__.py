"""Texts to language models, classifiers and ensembles of them."""
