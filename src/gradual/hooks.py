"""Kedro hooks of the project."""

from gradual.tracking.kedro_hook import TrackingHook

__all__ = ["TrackingHook"]
