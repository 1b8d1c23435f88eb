"""A process of the service that gets starts and guesses, all at once: they come on stdin, the answers go to stdout.

python -m tests.web.guessing_process < lines.json    with the variables of the service

Each line is `{"key": an API key, "path": of all requests, "bodies": [their bodies]}`.
"""

import json
import os
import sys
import threading

import pytest
from flask import Flask

from otp_service import bootstrap, config

from ..patience import be_patient


def main() -> None:
    """Say `ready` when everything is built. Then for each line a line with a status and a code for each."""
    be_patient(pytest.MonkeyPatch())  # many at once are the first that this process does
    app = bootstrap.build_web(config.load(dict(os.environ)))
    print("ready", flush=True)  # noqa: T201 - the other process waits for it
    for line in sys.stdin:
        print(json.dumps(_asked(app, **json.loads(line))), flush=True)  # noqa: T201


def _asked(app: Flask, key: str, path: str, bodies: list[object]) -> list[list[object]]:
    answers: list[list[object]] = []

    def ask(body: object) -> None:
        answer = app.test_client().post(path, json=body, headers={"Authorization": f"Bearer {key}"})
        answers.append([answer.status_code, (answer.get_json() or {}).get("code", "")])

    threads = [threading.Thread(target=ask, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


if __name__ == "__main__":
    main()
