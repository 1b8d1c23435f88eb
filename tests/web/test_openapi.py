"""The OpenAPI document: well-formed, complete, and true of every answer."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from otp_service.domain.verification import Status
from otp_service.web.schemas.queries import MAX_WAIT_S

from .conftest import Answer, ApiHarness
from .request_examples import UNKNOWN_ID

KEYWORDS = {
    *("type", "$ref", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "default"),
    *("title", "description", "examples", "pattern", "format", "minLength", "maxLength", "minimum", "maximum"),
    *("minProperties", "maxProperties", "propertyNames", "minItems", "maxItems", "contentMediaType", "contentSchema"),
}
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}


class Schemas:
    """A validator for the part of JSON Schema that the document uses; an unknown keyword is a failure, not a pass."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def find(self, reference: str) -> dict[str, Any]:
        """The schema that `#/components/...` names."""
        found: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert isinstance(found, dict)
        return found

    def whole(self, part: dict[str, Any]) -> dict[str, Any]:
        """The part itself, or what it refers to."""
        return self.find(part["$ref"]) if "$ref" in part else part

    def faults(self, schema: dict[str, Any], value: Any, at: str = "") -> list[str]:
        """Where the value breaks the schema."""
        assert set(schema) <= KEYWORDS, set(schema) - KEYWORDS
        if "$ref" in schema:
            return self.faults(self.find(schema["$ref"]), value, at)
        if "anyOf" in schema:
            tried = [self.faults(option, value, at) for option in schema["anyOf"]]
            return [] if any(not found for found in tried) else [f"{at}: none of anyOf: {tried}"]
        found = []
        kinds = schema.get("type", list(TYPES))
        kinds = [kinds] if isinstance(kinds, str) else kinds
        right = any(isinstance(value, TYPES[kind]) for kind in kinds)
        if not right or (isinstance(value, bool) and "boolean" not in kinds):
            found.append(f"{at}: {value!r} is no {kinds}")
        if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
            found.append(f"{at}: {value!r} does not match {schema['pattern']}")
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{at}: {value!r} is not in {schema['enum']}")
        if isinstance(value, dict):
            found += self._object(schema, value, at)
        if isinstance(value, list) and "items" in schema:
            for position, item in enumerate(value):
                found += self.faults(schema["items"], item, f"{at}/{position}")
        return found

    def _object(self, schema: dict[str, Any], value: dict[str, Any], at: str) -> list[str]:
        properties = schema.get("properties", {})
        found = [f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value]
        more = schema.get("additionalProperties", True)
        for name, item in value.items():
            if name in properties:
                found += self.faults(properties[name], item, f"{at}/{name}")
            elif isinstance(more, dict):
                found += self.faults(more, item, f"{at}/{name}")
            elif not more:
                found.append(f"{at}: {name} is unknown")
        return found


@pytest.fixture
def document(api: ApiHarness) -> dict[str, Any]:
    """The document as served."""
    found: dict[str, Any] = api.call("GET", "/openapi.json", key=None).json
    return found


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Every operation by method and path."""
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_the_document_is_well_formed(document: dict[str, Any]) -> None:
    """OpenAPI 3.1 with unique operation ids, described responses, and references that lead somewhere."""
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"]
    assert document["info"]["version"]
    assert document["servers"]
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(ids)) == len(ids)
    schemas = Schemas(document)
    for (method, path), operation in operations(document).items():
        assert method in {"GET", "POST", "DELETE", "PUT", "PATCH"}
        named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert named == set(re.findall(r"\{(.*?)\}", path))
        assert all(p["required"] for p in operation["parameters"] if p["in"] == "path")
        assert operation["summary"]
        for status, answer in operation["responses"].items():
            assert re.fullmatch("[1-5][0-9][0-9]", status)
            response = schemas.whole(answer)
            assert response["description"]
            for header in response["headers"].values():
                assert schemas.whole(header)["schema"]["type"]
            for media in response.get("content", {}).values():
                schemas.faults(media["schema"], None)
        for scheme in operation["security"]:
            assert set(scheme) <= set(document["components"]["securitySchemes"])
    for reference in re.findall(r"'\$ref': '(.*?)'", str(document)):
        schemas.find(reference)


def test_every_route_is_in_the_document(api: ApiHarness, document: dict[str, Any]) -> None:
    """The routes of the service and those of the document are the same set."""
    served = set()
    for rule in api.app.url_map.iter_rules():
        template = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        served |= {(method, template) for method in rule.methods or () if method not in ("HEAD", "OPTIONS")}
    assert served == set(operations(document))


def test_the_watch_token_is_announced_where_it_opens(document: dict[str, Any]) -> None:
    """One operation takes it beside a key, and describes how to wait; no other does."""
    taking = [place for place, op in operations(document).items() if {"watch_token": []} in op["security"]]
    assert taking == [("GET", "/verify/{verification_id}")]
    named = {one["name"]: one["schema"] for one in operations(document)[taking[0]]["parameters"]}
    assert (named["wait"]["minimum"], named["wait"]["maximum"], named["after"]["minimum"]) == (1, MAX_WAIT_S, 0)


def test_every_error_is_described_as_a_problem(document: dict[str, Any]) -> None:
    """All 4xx and 5xx are problem+json; 429 and 503 announce Retry-After; what has a scope has 401, 403 and 503."""
    schemas = Schemas(document)
    for (method, path), operation in operations(document).items():
        for status, answer in operation["responses"].items():
            response = schemas.whole(answer)
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (method, path, status)
            if status in ("429", "503"):
                assert "Retry-After" in response["headers"]
            if status == "401":
                assert "WWW-Authenticate" in response["headers"]
        if operation["security"]:
            assert {"401", "403", "503"} <= set(operation["responses"]), (method, path)
        if method == "POST":
            assert "413" in operation["responses"]


class DocumentCheck:
    """Compares answers with the document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.schemas = Schemas(document)
        self.operations = operations(document)

    def confirm(self, method: str, template: str, answer: Answer) -> Answer:
        """Fail unless the document has the answer's status, media type, code and form."""
        response = self.operations[method, template]["responses"].get(str(answer.status))
        assert response is not None, (method, template, answer.status, answer.body)
        response = self.schemas.whole(response)
        sent = {name for name in self.schemas.document["components"]["headers"] if answer.header(name)}
        assert "X-Request-Id" in sent
        assert sent <= set(response["headers"]), (method, template, answer.status, sent)
        kind = (answer.header("Content-Type") or "").partition(";")[0]
        if not answer.body:
            assert "content" not in response
            return answer
        assert kind in response["content"], (method, template, answer.status, kind)
        if answer.status >= 400:
            assert f"`{answer.json['code']}`" in response["description"], (template, answer.body)
        if kind.endswith("json"):
            faults = self.schemas.faults(response["content"][kind]["schema"], answer.json)
            assert not faults, (template, faults)
        return answer


def test_every_answer_is_as_the_document_says(api: ApiHarness, document: dict[str, Any]) -> None:
    """A walk through the service: each answer's status, media type, code and form are in the document."""
    see = DocumentCheck(document).confirm
    number, blocked = api.number(), api.number()
    api.opt_out(blocked)
    start = ("POST", "/verify/start")
    first = see(*start, api.start(number, context={"a": "b"}, metadata={"a": 1}))
    for answer in (
        api.start(number, context={"a": "b"}),
        api.start(number),
        api.start(blocked),
        api.start("x"),
        api.start("+447400123456"),
        api.start(api.number(), channel="whatsapp"),
        api.start(api.number(), nope=1),
        api.call(*start, b"{}", key=None),
        api.call(*start, b"{}", key=api.key("default", "metrics")),
        api.call(*start, b" " * 65537),
        api.call(*start, b"{}", headers={"Content-Type": "text/plain"}),
        api.call(*start, {"to": api.number()}, headers={"Idempotency-Key": "k"}),
        api.call(*start, {"to": api.number()}, headers={"Idempotency-Key": "k"}),
    ):
        see(*start, answer)
    verification = first.json["verification_id"]
    check = ("POST", "/verify/check")
    code = api.code(verification)
    keyed = api.started(api.number())
    right = {"verification_id": keyed, "code": api.code(keyed)}
    for answer in (
        *(api.call(*check, right, headers={"Idempotency-Key": "k"}) for _ in range(2)),
        api.call(*check, {**right, "code": "000000"}, headers={"Idempotency-Key": "k"}),
        api.check(verification, code, to=api.number()),
        api.check(verification, code),
        api.check(verification, "1"),
        api.check(UNKNOWN_ID, code),
        api.call(*check, {"to": "x", "code": code}),
        api.check(verification, code, context={"a": "b"}),
        api.check(verification, code),
    ):
        see(*check, answer)
    approved = api.started(api.number())
    receipt = api.check(approved, api.code(approved)).json["receipt"]
    for body in ({"receipt": receipt, "to": "x"}, {"receipt": receipt}, {"receipt": receipt}):
        see("POST", "/receipts/redeem", api.call("POST", "/receipts/redeem", body))
    see("POST", "/receipts/redeem", api.call("POST", "/receipts/redeem", {"receipt": "x"}))
    for name in (verification, UNKNOWN_ID, approved):
        see("GET", "/verify/{verification_id}", api.call("GET", f"/verify/{name}"))
        see("POST", "/verify/{verification_id}/cancel", api.call("POST", f"/verify/{name}/cancel"))
    pending = api.started(api.number())
    see("POST", "/verify/{verification_id}/cancel", api.call("POST", f"/verify/{pending}/cancel", b"["))
    for _ in range(2):
        see("POST", "/verify/{verification_id}/cancel", api.call("POST", f"/verify/{pending}/cancel", {}))
    for query in ("?wait=1&after=0", "?wait=x", "?after=-1"):
        see("GET", "/verify/{verification_id}", api.call("GET", f"/verify/{pending}{query}"))
    for key in (first.json["watch_token"], "wt_x"):
        see("GET", "/verify/{verification_id}", api.call("GET", f"/verify/{verification}", key=key))
    for name in (number, blocked, "x"):
        see("GET", "/optouts/{number}", api.call("GET", f"/optouts/{name}"))
    for query in ("", "?limit=1", "?nope=1", "?to=x"):
        see("GET", "/audit/events", api.call("GET", f"/audit/events{query}"))
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/.well-known/jwks.json"):
        see("GET", path, api.call("GET", path, key=None))
    see("GET", "/metrics", api.call("GET", "/metrics"))
    for path, template in (("", ""), ("/dlv_x", "/{delivery_id}")):
        hook = f"/webhooks/telnyx{template}"
        see("POST", hook, api.hook({"data": {}}, path))
        see("POST", hook, api.hook([], path))
        see("POST", hook, api.call("POST", f"/webhooks/telnyx{path}", b"{}", key=None))
        see("POST", hook, api.call("POST", f"/webhooks/telnyx{path}", b" " * 65537, key=None))


def schemas_in(part: Any) -> Iterator[dict[str, Any]]:
    """Every object within the part, the part itself included."""
    if isinstance(part, dict):
        yield part
        for member in part.values():
            yield from schemas_in(member)
    elif isinstance(part, list):
        for member in part:
            yield from schemas_in(member)


def test_the_examples_are_what_they_show(document: dict[str, Any]) -> None:
    """Each body has an example that passes its schema. Those without are parts of others."""
    schemas = Schemas(document)
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            assert schemas.faults(schema, example) == [], name
    for operation in operations(document).values():
        bodies = [operation.get("requestBody", {}), *map(schemas.whole, operation["responses"].values())]
        for body in (media["schema"] for one in bodies for media in one.get("content", {}).values()):
            assert "$ref" not in body or schemas.find(body["$ref"])["examples"]


def test_each_problem_has_an_example_that_is_its_own(document: dict[str, Any]) -> None:
    """The example of a code in an answer has that code, that status, and the form of every problem."""
    schemas = Schemas(document)
    answers = [each for operation in operations(document).values() for each in operation["responses"].items()]
    for status, answer in ((status, schemas.whole(answer)) for status, answer in answers if int(status) >= 400):
        media = answer["content"]["application/problem+json"]
        assert set(re.findall("`([a-z_]+)`", answer["description"])) == set(media["examples"])
        for code, example in media["examples"].items():
            value = schemas.whole(example)["value"]
            assert (value["code"], str(value["status"])) == (code, status)
            assert schemas.faults(media["schema"], value) == []


def test_links_lead_to_operations(document: dict[str, Any]) -> None:
    """Each names an operation and what it takes; a start leads to what follows it. Each tag is described."""
    by_id = {operation["operationId"]: operation for operation in operations(document).values()}
    for operation in by_id.values():
        assert set(operation["tags"]) <= {tag["name"] for tag in document["tags"]}
        for answer in operation["responses"].values():
            for link in answer.get("links", {}).values():
                taken = {one["name"] for one in by_id[link["operationId"]]["parameters"]}
                assert set(link.get("parameters", {})) <= taken
    assert set(by_id["startVerification"]["responses"]["201"]["links"]) == {"follow", "cancel"}


def test_schemas_say_what_generators_need(document: dict[str, Any]) -> None:
    """Enumerations have a type, free objects say so, patterns are ECMA's; no member that may be left out has a default.

    A generator takes a member with a default for one that is always there.
    """
    components = document["components"]["schemas"]
    for schema in schemas_in([components, document["paths"]]):
        if isinstance(schema.get("enum"), list):
            assert schema["type"] == {str: "string", int: "integer"}[type(schema["enum"][0])]
        if schema.get("type") == "object":
            assert "properties" in schema or "additionalProperties" in schema
        if isinstance(schema.get("pattern"), str):
            assert not re.search(r"\\[AZz]|\(\?[PiamsuxL]", schema["pattern"])
    for schema in components.values():
        assert not any("default" in member for member in schema.get("properties", {}).values())
    assert "autofill" not in components["StartRequest"]["required"]
    assert components["Verification"]["properties"]["status"]["enum"] == [str(status) for status in Status]


def test_requests_that_the_document_forbids_are_refused(api: ApiHarness, document: dict[str, Any]) -> None:
    """The examples of the document's request schemas pass them, and what the schema refuses is refused."""
    schemas = Schemas(document)
    schema = operations(document)["POST", "/verify/start"]["requestBody"]["content"]["application/json"]["schema"]
    body = {"to": "+12025550143", "context": {"amount": "10"}, "autofill": {"web_origin": "shop.example"}}
    assert schemas.faults(schema, body) == []
    assert api.call("POST", "/verify/start", body).status == 201
    refused: list[object] = [{"to": 1}, {}, {"to": "+12025550143", "nope": 1}, []]
    for broken in refused:
        assert schemas.faults(schema, broken)
        api.call("POST", "/verify/start", broken).problem(400, "invalid_request")
