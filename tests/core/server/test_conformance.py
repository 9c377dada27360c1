"""What the server answers is what its OpenAPI document says, whatever is asked."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import schemathesis
from fuzz_kit import TIMES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

BOUNDED: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["top_k", "stride", "min_score", "details", "generate_parameters"])
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
    """Send a request; its status is declared, and no failure of the server."""
    response = client.request(method, path, **request)
    assert response.status_code < 500, response.text
    declared = document["paths"][path][method.lower()]["responses"]
    assert str(response.status_code) in declared, response.text


def ways(document: Any) -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if "{" not in path
    ]


@pytest.mark.fuzz
def test_no_request_is_answered_in_another_way_than_declared(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    posts = [way for way in ways(document) if way[0] == "POST"]
    assert len(posts) > 2

    @settings(max_examples=150 * TIMES, **BOUNDED)
    @given(way=st.sampled_from(posts), body=BODIES | st.binary(max_size=30), headers=HEADERS)
    def attempt(way: tuple[str, str], body: Any, headers: dict[str, str]) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        check(client, document, *way, content=raw, headers=encoded)

    attempt()


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore")  # of the libraries that schemathesis uses
def test_requests_made_from_the_document_are_answered_as_it_says(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    described = schemathesis.openapi.from_dict(document)
    described.config.update(base_url=str(client.base_url))
    checked = []
    for found in described.get_all_operations():
        operation = found.ok()
        if operation.method.upper() != "POST" and "{" in operation.path:
            continue  # a name that exists is covered by the posts

        @settings(max_examples=60 * TIMES, **BOUNDED)
        @given(case=operation.as_strategy())
        def attempt(case: schemathesis.Case) -> None:
            case.validate_response(case.call(), checks=CHECKS)

        attempt()
        checked.append(operation.label)
    assert {"POST /", "POST /models/tone", "GET /health", "GET /metrics"} <= set(checked)
