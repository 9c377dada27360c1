"""Only uploaded files are read: a request cannot name another file of the server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from webui_kit import WAIT

FILE = {"meta": {"_type": "gradio.FileData"}}


def _config(client: httpx.Client) -> dict[str, Any]:
    page = client.get("/sentiment", headers={"accept": "text/html"}).text
    found = re.search(r"window\.gradio_config = (\{.*?\});</script>", page, re.DOTALL)
    assert found
    config: dict[str, Any] = json.loads(found[1])
    return config


def _events(client: httpx.Client, function: int, data: list[Any]) -> str:
    """All that Gradio says of an event until it has ended."""
    call = {"data": data, "fn_index": function, "session_hash": f"s{function}"}
    assert client.post("/gradio_api/queue/join", json=call).status_code == 200
    said = []
    address = f"/gradio_api/queue/data?session_hash=s{function}"
    with client.stream("GET", address) as stream:
        for line in stream.iter_lines():
            said.append(line)
            if "process_completed" in line:
                break
    return "\n".join(said)


@pytest.mark.parametrize("address", [None, "http://192.0.2.1/secret.jsonl"])
def test_a_file_that_was_not_uploaded_is_not_read(
    server: str, address: str | None, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.jsonl"
    secret.write_text('{"text": "the-password-is-here"}\n', encoding="utf-8")
    with httpx.Client(base_url=server, timeout=WAIT) as client:
        config = _config(client)
        parts = {part["id"]: part for part in config["components"]}
        tried = 0
        for event in config["dependencies"]:
            kinds = [parts[number]["type"] for number in event["inputs"]]
            if "file" not in kinds:
                continue
            tried += 1
            named = {**FILE, "path": address or str(secret), "orig_name": secret.name}
            data = [
                named if kind == "file" else parts[number]["props"].get("value")
                for number, kind in zip(event["inputs"], kinds, strict=True)
            ]
            said = _events(client, event["id"], data)
            assert "was not uploaded by a user" in said, said
            assert "password" not in said
    assert tried >= 2  # the look at a file, and the batch


@pytest.mark.parametrize("address", ["gradio_api/file=", "gradio_api/file/", "file="])
def test_a_file_of_the_server_is_not_sent(server: str, address: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the-password-is-here", encoding="utf-8")
    reply = httpx.get(f"{server}/{address}{secret}", timeout=WAIT)
    assert reply.status_code in (403, 404)
    assert "password" not in reply.text
