"""What a good engineer writes by hand: no validation layer in the way, the fastest JSON, no thread hops."""

import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from session import load

app = FastAPI(openapi_url=None)
run = load()


@app.post("/v1/models/cnn:predict")  # type: ignore[untyped-decorator]
async def predict(request: Request) -> Response:
    try:
        probabilities = run(orjson.loads(await request.body())["instances"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise HTTPException(400, f"not a V1 request: {error}") from error
    body = orjson.dumps({"predictions": probabilities}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")
