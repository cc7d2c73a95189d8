"""Messages of the Open Inference Protocol, and those of ONNX that are read, made by generate.sh."""
