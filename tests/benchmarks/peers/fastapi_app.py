"""The naive service in FastAPI with redis.asyncio, for uvicorn."""

import importlib
from typing import Annotated, Any

import redis.asyncio
from pydantic import BaseModel

from . import naive

fastapi: Any = importlib.import_module("fastapi")  # in the extra `bench` only, so nothing to check types against
app = fastapi.FastAPI()
client: Any = redis.asyncio.Redis.from_url(naive.store_url(), decode_responses=True)


class Start(BaseModel):
    """Body of a start."""

    to: str


class Check(BaseModel):
    """Body of a check."""

    id: str
    code: str


def require_key(authorization: Annotated[str, fastapi.Header()] = "") -> None:
    """Refuse callers without the key."""
    if authorization != naive.KEY:
        raise fastapi.HTTPException(401)


@app.post("/start", status_code=201, dependencies=[fastapi.Depends(require_key)])  # type: ignore[untyped-decorator]
async def start(body: Start) -> dict[str, str]:
    """Start a verification."""
    verification_id, code = naive.new()
    async with client.pipeline(transaction=False) as pipeline:
        naive.fill_start(pipeline, verification_id, body.to, code)
        await pipeline.execute()
    return {"id": verification_id, "code": code}


@app.post("/check", dependencies=[fastapi.Depends(require_key)])  # type: ignore[untyped-decorator]
async def check(body: Check, response: fastapi.Response) -> Any:
    """Check a code."""
    async with client.pipeline(transaction=False) as pipeline:
        naive.fill_check(pipeline, body.id)
        tries, wanted = await pipeline.execute()
    response.status_code, answer = naive.judge(tries, wanted, body.code)
    return answer
