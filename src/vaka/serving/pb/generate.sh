#!/bin/sh
# Makes the message classes anew: PYTHON=... src/vaka/serving/pb/generate.sh, where that Python has grpcio-tools.
set -eu
cd "$(dirname "$0")/../../.."
for name in open_inference onnx_graph; do
    "${PYTHON:-python}" -m grpc_tools.protoc -I . --python_out=. --pyi_out=. "vaka/serving/pb/$name.proto"
    sed -i '1i # ruff: noqa\n# fmt: off\n# mypy: ignore-errors' "vaka/serving/pb/${name}_pb2.py" "vaka/serving/pb/${name}_pb2.pyi"
done
