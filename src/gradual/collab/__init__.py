"""Ratings and purchases: user and item factors, and what is recommended from them."""
