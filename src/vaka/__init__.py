"""Vaka: train, serve and watch models on Kubernetes with two custom resources."""

import os

__version__ = "0.1.0"

# ONNX Runtime reports to its vendor what it runs, unless it finds this when it is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
