"""What computes a graph: ONNX Runtime, or another library where that is quicker and gives the same."""
