"""Asks a running server through clients that others wrote: `ask.py HTTP-URL GRPC-ADDRESS CLIENT`.

It runs in the environment of requirements.txt and prints, as JSON, what each call of the client gave.
"""

import asyncio
import json
import sys

import numpy as np

IMAGES = np.full((2, 1, 3, 4), 250, np.float32)
IMAGES[1] = 0


def triton_http(url: str, _: str) -> dict:
    import tritonclient.http as triton

    with triton.InferenceServerClient(url.removeprefix("http://")) as client:
        told = {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model": client.is_model_ready("m"),
            "version": client.is_model_ready("m", "1"),
            "extensions": client.get_server_metadata()["extensions"],
            "inputs": client.get_model_metadata("m")["inputs"],
        }
        for binary_in, binary_out, packed in [
            (True, True, None),
            (False, False, "gzip"),
            (True, False, "deflate"),
            (False, True, None),
        ]:
            asked = triton.InferInput("image", IMAGES.shape, "FP32")
            asked.set_data_from_numpy(IMAGES, binary_data=binary_in)
            wanted = [triton.InferRequestedOutput("probabilities", binary_data=binary_out)]
            answer = client.infer(
                "m",
                [asked],
                outputs=wanted,
                request_id="7",
                timeout=60_000_000,
                request_compression_algorithm=packed,
                response_compression_algorithm=packed,
            )
            told[f"infer {binary_in} {binary_out}"] = classes(answer.as_numpy("probabilities"))
            told["id"] = answer.get_response()["id"]
        try:
            client.infer("other", [asked])
        except triton.InferenceServerException as error:
            told["error"] = [error.status(), error.message()]
    return told


def triton_grpc(_: str, address: str) -> dict:
    import tritonclient.grpc as triton

    with triton.InferenceServerClient(address) as client:
        asked = triton.InferInput("image", IMAGES.shape, "FP32")
        asked.set_data_from_numpy(IMAGES)
        answer = client.infer("m", [asked], request_id="7", client_timeout=60)
        told = {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model": client.is_model_ready("m"),
            "metadata": client.get_model_metadata("m", as_json=True)["inputs"][0]["name"],
            "infer": classes(answer.as_numpy("probabilities")),
            "id": answer.get_response().id,
        }
        try:
            client.infer("other", [asked])
        except triton.InferenceServerException as error:
            told["error"] = [error.status(), error.message()]
    return told


async def kserve(url: str, address: str) -> dict:
    from kserve import (
        InferenceGRPCClient,
        InferenceRESTClient,
        InferInput,
        InferRequest,
        RESTConfig,
    )

    v1 = InferenceRESTClient(RESTConfig(protocol="v1"))
    v2 = InferenceRESTClient(RESTConfig(protocol="v2"))
    grpc = InferenceGRPCClient(address)
    told: dict = {
        "v1 model": await v1.is_model_ready(url, "m"),
        "v1": await v1.infer(url, {"instances": IMAGES[:, 0].tolist()}, model_name="m"),
        "v2 ready": await v2.is_server_ready(url),
        "v2 live": await v2.is_server_live(url),
        "v2 model": await v2.is_model_ready(url, "m"),
        "grpc ready": await grpc.is_server_ready(),
        "grpc model": await grpc.is_model_ready("m"),
    }
    for binary in (True, False):
        asked = InferInput("image", list(IMAGES.shape), "FP32")
        asked.set_data_from_numpy(IMAGES, binary_data=binary)
        for name, client in (("v2", v2), ("grpc", grpc)):
            request = InferRequest("m", [asked])
            answer = await (client.infer(url, request, "m") if client is v2 else client.infer(request))
            told[f"{name} {binary}"] = classes(answer.outputs[0].as_numpy())
    return told


def classes(probabilities: np.ndarray) -> list[int]:
    return probabilities.argmax(1).tolist()


if __name__ == "__main__":
    where = sys.argv[1], sys.argv[2]
    if sys.argv[3] == "kserve":
        found = asyncio.run(kserve(*where))
    else:
        found = {"triton-http": triton_http, "triton-grpc": triton_grpc}[sys.argv[3]](*where)
    print(json.dumps(found))
