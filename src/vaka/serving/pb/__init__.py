"""Messages of the Open Inference Protocol, made by generate.sh from open_inference.proto."""
