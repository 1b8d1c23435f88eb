"""The naive service in Flask with redis-py, for gunicorn."""

from typing import Any

import redis
from flask import Flask, jsonify, request

from . import naive

app = Flask(__name__)
client: Any = redis.Redis.from_url(naive.store_url(), decode_responses=True)


@app.before_request
def require_key() -> Any:
    """Refuse callers without the key."""
    if request.headers.get("Authorization") != naive.KEY:
        return jsonify(code="unauthorized"), 401
    return None


@app.post("/start")
def start() -> Any:
    """Start a verification."""
    verification_id, code = naive.new()
    with client.pipeline(transaction=False) as pipeline:
        naive.fill_start(pipeline, verification_id, request.get_json()["to"], code)
        pipeline.execute()
    return jsonify(id=verification_id, code=code), 201


@app.post("/check")
def check() -> Any:
    """Check a code."""
    body = request.get_json()
    with client.pipeline(transaction=False) as pipeline:
        naive.fill_check(pipeline, body["id"])
        tries, wanted = pipeline.execute()
    status, answer = naive.judge(tries, wanted, body["code"])
    return jsonify(answer), status
