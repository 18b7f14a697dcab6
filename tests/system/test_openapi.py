"""The OpenAPI document: both forms alike, and true of what the server really does."""

import json
import re

import pytest
import yaml

from pushca import ROOT, Server, identity

EXAMPLES = {
    "OpenConnectionRequest": {"client": identity()},
    "OpenConnectionPoolRequest": {"client": identity(), "poolSize": 2},
    "SendNotificationRequest": {"filter": identity("nobody"), "message": "x"},
    "SendNotificationWithAcknowledgeRequest": {"client": identity("nobody"), "message": "x"},
}
PARAMETERS = {"{name}": "pushca.sockets", "{file}": "index.html"}


@pytest.fixture(scope="module", name="server")
def make_server():
    with Server("pushca.acknowledge-timeout.ms=100") as server:
        yield server


@pytest.fixture(scope="module", name="document")
def read_document(server):
    return server.get("/pushca").json


def concrete(path):
    for name, value in PARAMETERS.items():
        path = path.replace(name, value)
    return path


def resolve(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def conforms(document, schema, value):
    """A small part of JSON Schema: as much as the document uses."""
    schema = resolve(document, schema)
    if schema.get("type") == "object":
        if not isinstance(value, dict) or any(name not in value for name in schema.get("required", [])):
            return False
        known = schema.get("properties", {})
        return all(name in known or not known for name in value) and all(
            conforms(document, known[name], one) for name, one in value.items() if name in known)
    if schema.get("type") == "array":
        return isinstance(value, list) and all(conforms(document, schema["items"], one) for one in value)
    if schema.get("type") == "string":
        return isinstance(value, str) and value in schema.get("enum", [value])
    return isinstance(value, {"integer": int, "boolean": bool, "number": (int, float)}[schema["type"]])


def test_the_two_files_and_the_two_answers_are_one_document(server, document):
    assert json.loads((ROOT / "web" / "openapi.json").read_text()) == document
    assert yaml.safe_load((ROOT / "web" / "openapi.yaml").read_text()) == document
    answer = server.get("/pushca.yaml")
    assert "yaml" in answer.headers["content-type"]
    assert yaml.safe_load(answer.body) == document
    assert server.get("/pushca").headers["content-type"].startswith("application/json")


def test_it_says_what_the_base_specification_says(document):
    assert document["openapi"] == "3.0.1"
    assert document["info"]["title"] == "OpenAPI definition"
    assert document["info"]["version"] == "v0"
    for path, operation in (("/open-connection", "openConnection"), ("/send-notification", "sendNotification"),
                            ("/send-notification-with-acknowledge", "sendNotificationWithAcknowledge")):
        assert document["paths"][path]["post"]["operationId"] == operation
        assert document["paths"][path]["post"]["tags"] == ["public-api-controller"]
    for name in ("ClientSearchData", "PClient", "SendNotificationRequest", "SendNotificationWithAcknowledgeRequest",
                 "OpenConnectionRequest", "OpenConnectionResponse"):
        assert name in document["components"]["schemas"]


def test_every_reference_leads_somewhere_and_every_schema_is_used(document):
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert used == set(document["components"]["schemas"])


def test_the_routes_and_the_paths_are_the_same(document):
    """The table in the source against the document: method by method, no more and no less."""
    table = re.findall(r'\{"(/[^"]*)",\s*TAKES_(PATH|PREFIX),\s*HTTP1_(\w+)', (ROOT / "src/api/routes.c").read_text())
    assert table
    routes = {(path if takes == "PATH" else path + "{}", method.lower()) for path, takes, method in table}
    paths = {(re.sub(r"\{\w+\}", "{}", path), method) for path, item in document["paths"].items() for method in item}
    assert routes == paths


def test_every_path_allows_what_the_document_says(server, document):
    for path, item in document["paths"].items():
        allowed = {one.strip().lower() for one in server.request("OPTIONS", concrete(path)).headers["allow"].split(",")}
        assert allowed - {"head", "options"} == set(item), path


def test_every_operation_answers_with_a_status_and_body_it_declares(server, document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            body, headers = None, {}
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                example = EXAMPLES[schema["$ref"].rsplit("/", 1)[1]]
                assert conforms(document, schema, example), path
                body, headers = json.dumps(example).encode(), {"Content-Type": "application/json"}
            answer = server.request(method.upper(), concrete(path), body, headers)
            assert str(answer.status) in operation["responses"], (path, answer)
            content = operation["responses"][str(answer.status)].get("content")
            if not content:
                assert answer.body == b"", path
                continue
            kind = answer.headers["content-type"].split(";")[0]
            assert kind in content, (path, kind)
            if kind == "application/json":
                assert conforms(document, content[kind]["schema"], answer.json), (path, answer)


def test_every_required_member_is_required(server, document):
    for path, item in document["paths"].items():
        operation = item.get("post")
        if not operation:
            continue
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        required = document["components"]["schemas"][name]["required"]
        assert required
        for missing in required:
            body = {key: value for key, value in EXAMPLES[name].items() if key != missing}
            answer = server.post(path, body)
            assert answer.status == 400 and missing in answer.json["message"], (path, missing, answer)
            assert conforms(document, {"$ref": "#/components/schemas/Error"}, answer.json)


def test_swagger_ui_is_there_or_says_how_to_get_it(server):
    moved = server.get("/swagger-ui.html")
    assert (moved.status, moved.headers["location"]) == (302, "/swagger-ui/index.html")
    page = server.curl("/swagger-ui.html", "--location")
    assert page.status in (200, 302)
    index = server.get("/swagger-ui/index.html")
    assert index.status == 200 and index.headers["content-type"].startswith("text/html")
    text = index.body.decode()
    assert "npm" in text or "swagger-ui-bundle.js" in text
    for file in re.findall(r'(?:src|href)="([\w.-]+)"', text):
        assert server.get("/swagger-ui/" + file).status == 200, file
    config = server.get("/pushca/swagger-config").json
    assert server.get(config["url"]).status == 200
