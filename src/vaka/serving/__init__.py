"""Answers predictions over HTTP and gRPC with ONNX Runtime; no torch on this side."""
