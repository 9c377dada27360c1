"""What the server answers is what its OpenAPI document says, whatever is asked."""

from __future__ import annotations

import json
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["top_k", "stride", "abstain_below", "details", "generate_parameters"])
BODIES = JSON | st.fixed_dictionaries(
    {"inputs": JSON | st.text() | st.lists(st.text(), max_size=5)},
    optional={
        "parameters": JSON | st.dictionaries(NAMES | st.text(max_size=8), JSON, max_size=4),
        "stream": JSON,
        "options": JSON,
    },
)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "Content-Encoding", "Accept", "X-API-Key", "Range"]),
    st.sampled_from(["", "gzip", "application/json", "text/html", "*/*", "bytes=0-1", "é", ";"]),
)


def check(client: httpx.Client, document: Any, method: str, path: str, **request: Any) -> None:
    """Send a request; the status is declared, not a failure of the server, and the body fits."""
    response = client.request(method, path, **request)
    responses = document["paths"][path][method.lower()]["responses"]
    status = str(response.status_code)
    assert response.status_code < 500, response.text
    assert status in responses, (status, response.text)
    content = responses[status].get("content", {}).get("application/json")
    if content and content.get("schema"):
        schema = content["schema"] | {"components": document["components"]}
        Draft202012Validator(schema).validate(response.json())


def ways(document: Any) -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if "{" not in path
    ]


def test_no_request_is_answered_in_another_way_than_declared(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    posts = [way for way in ways(document) if way[0] == "POST"]
    assert len(posts) > 2

    @settings(
        max_examples=400,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(way=st.sampled_from(posts), body=BODIES | st.binary(max_size=30), headers=HEADERS)
    def attempt(way: tuple[str, str], body: Any, headers: dict[str, str]) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        check(client, document, *way, content=raw, headers=encoded)

    attempt()


def test_every_example_of_the_document_is_answered_as_declared(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    for method, path in ways(document):
        if method == "GET":
            check(client, document, method, path)
            continue
        operation = document["paths"][path][method.lower()]
        content = operation["requestBody"]["content"]["application/json"]
        for example in content.get("examples", {}).values():
            check(client, document, method, path, json=example["value"])
