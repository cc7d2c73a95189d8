"""Vaka: train, serve and watch models on Kubernetes with two custom resources."""

__version__ = "0.1.0"
