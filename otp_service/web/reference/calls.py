"""Each operation as a line for a shell."""

import json
import shlex
from typing import Any
from urllib.parse import quote

JSON = "application/json"


def call(document: dict[str, Any], method: str, path: str, operation: dict[str, Any], token: str) -> str | None:
    """The operation with the document's examples, for `curl`. `token` is the shell's variable that holds the bearer.

    None if a shell cannot make the request: one that the carrier signs.
    """
    if any(one["in"] == "header" and one["required"] for one in operation["parameters"]):
        return None
    parts = [f'curl -sS{_method(method, operation)} "{_address(document, path, operation)}"']
    if any(operation["security"]):
        parts.append(f'-H "Authorization: Bearer ${token}"')
    if "requestBody" in operation:
        parts += [f"-H 'Content-Type: {JSON}'", f"-d {shlex.quote(_body(document, operation))}"]
    return " \\\n  ".join(parts)


def _method(method: str, operation: dict[str, Any]) -> str:
    usual = "post" if "requestBody" in operation else "get"
    return "" if method == usual else f" -X {method.upper()}"


def _address(document: dict[str, Any], path: str, operation: dict[str, Any]) -> str:
    query = []
    for one in operation["parameters"]:
        text = quote(str(one.get("example", one["name"])), safe="")
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", text)
        elif "example" in one:
            query.append(f"{one['name']}={text}")
    return f"{document['servers'][0]['url']}{path}{'?' if query else ''}{'&'.join(query)}"


def _body(document: dict[str, Any], operation: dict[str, Any]) -> str:
    schema = operation["requestBody"]["content"][JSON]["schema"]
    whole = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
    return json.dumps(whole.get("examples", [{}])[0], ensure_ascii=False)
