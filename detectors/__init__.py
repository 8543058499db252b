"""Detectors: networks with heads, losses and decoding over any backbone."""

from detectors.registry import create_detector, list_detectors

__all__ = ["create_detector", "list_detectors"]
