#!/bin/sh
# Makes the message classes anew: PYTHON=... src/vaka/serving/pb/generate.sh, where that Python has grpcio-tools.
set -eu
cd "$(dirname "$0")/../../.."
"${PYTHON:-python}" -m grpc_tools.protoc -I . --python_out=. --pyi_out=. vaka/serving/pb/open_inference.proto
sed -i '1i # ruff: noqa\n# fmt: off\n# mypy: ignore-errors' vaka/serving/pb/open_inference_pb2.py vaka/serving/pb/open_inference_pb2.pyi
