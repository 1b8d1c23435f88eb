"""The document broken in several ways, each with the tool that must refuse it: one that accepts all proves nothing."""

from collections.abc import Callable
from typing import Any

Document = dict[str, Any]


def _schema(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found


def _start(document: Document) -> Document:
    found: Document = document["paths"]["/verify/start"]["post"]
    return found


def no_answer_for_a_wrong_code(document: Document) -> None:
    """For schemathesis: the service answers what the document does not describe."""
    del document["paths"]["/verify/check"]["post"]["responses"]["404"]


def _python_pattern(document: Document) -> None:
    _schema(document, "StartRequest")["properties"]["to"]["pattern"] = r"\A(?P<to>\+[0-9]+)\Z"


def _unknown_format(document: Document) -> None:
    _schema(document, "Verification")["properties"]["created_at"]["format"] = "moment"


def _unknown_keyword(document: Document) -> None:
    _schema(document, "Problem")["property"] = {}


def _wrong_example(document: Document) -> None:
    _schema(document, "Verification")["examples"][0]["status"] = "gone"


def _lost_reference(document: Document) -> None:
    del document["components"]["schemas"]["Delivery"]


def _no_license(document: Document) -> None:
    del document["info"]["license"]


def _no_security(document: Document) -> None:
    del _start(document)["security"]


def _same_operation_id(document: Document) -> None:
    _start(document)["operationId"] = "checkVerification"


def _no_answers(document: Document) -> None:
    del _start(document)["responses"]


def _unnamed_path_parameter(document: Document) -> None:
    document["paths"]["/verify/{verification_id}"]["get"]["parameters"].pop(0)


def _wrong_problem(document: Document) -> None:
    document["components"]["examples"]["code_incorrect"]["value"]["status"] = "422"


def _mixed_enumeration(document: Document) -> None:
    _schema(document, "Verification")["properties"]["status"]["enum"].append(7)


MUTATIONS: dict[str, tuple[Callable[[Document], None], str]] = {
    "a pattern in Python's dialect": (_python_pattern, "ajv"),
    "a format that nobody knows": (_unknown_format, "ajv"),
    "a misspelt keyword": (_unknown_keyword, "ajv"),
    "an example of another form": (_wrong_example, "ajv"),
    "an example of a problem of another form": (_wrong_problem, "ajv"),
    "an enumeration of several types": (_mixed_enumeration, "openapi-python-client"),
    "a reference that leads nowhere": (_lost_reference, "openapi-typescript"),
    "no license": (_no_license, "redocly"),
    "an operation without security": (_no_security, "redocly"),
    "an operation id twice": (_same_operation_id, "spectral"),
    "an operation without responses": (_no_answers, "spectral"),
    "a path parameter that is not described": (_unnamed_path_parameter, "spectral"),
}
