"""What FastAPI's own documentation leads to: the body by `request.json()`, the answer as a dict."""

from typing import Any

from fastapi import FastAPI, Request
from session import load

app = FastAPI()
run = load()


@app.post("/v1/models/cnn:predict")  # type: ignore[untyped-decorator]
async def predict(request: Request) -> dict[str, Any]:
    images = (await request.json())["instances"]
    return {"predictions": run(images).tolist()}
