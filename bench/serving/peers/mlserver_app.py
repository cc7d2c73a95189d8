"""An MLServer runtime with ONNX Runtime."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from session import load


class Cnn(MLModel):  # type: ignore[misc]
    async def load(self) -> bool:
        self._run = load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        probabilities = self._run(NumpyCodec.decode_input(payload.inputs[0]))
        output = NumpyCodec.encode_output("output", probabilities)
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[output])
