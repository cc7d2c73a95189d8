"""Asks a model over gRPC until it is interrupted: `grpc_client.py ADDRESS MODEL` prints what came as JSON."""

import json
import signal
import sys

import grpc

from vaka.serving.pb import open_inference_pb2 as pb

METHOD = "/inference.GRPCInferenceService/ModelInfer"


def request(model: str) -> pb.ModelInferRequest:
    image = pb.ModelInferRequest.InferInputTensor(name="image", datatype="FP32", shape=[1, 1, 28, 28])
    return pb.ModelInferRequest(model_name=model, inputs=[image], raw_input_contents=[bytes(4 * 28 * 28)])


def main() -> None:
    stop: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: stop.append(number))
    address, model = sys.argv[1:]
    requests, failures = 0, []
    with grpc.insecure_channel(address) as channel:
        infer = channel.unary_unary(
            METHOD,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        while not stop:
            try:
                infer(request(model), timeout=100, wait_for_ready=True)
            except grpc.RpcError as error:
                failures.append(f"{error.code().name}: {error.details()}")
            requests += 1
    print(json.dumps({"requests": requests, "failed": len(failures), "failures": failures[:5]}))


if __name__ == "__main__":
    main()
