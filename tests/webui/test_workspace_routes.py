"""The routes of a workspace: who may use them, and what they refuse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from nlplug.errors import OptionError, ServerError
from nlplug.workspace import WorkspaceFolder
from nlplug_webui.error_pages import ErrorPages
from nlplug_webui.serving import make_app

OURS = {"x-nlplug-page": "1"}
TASKS = ("classification",)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("work") / "w"
    return make_app(tasks=TASKS, workspace=str(folder))


@pytest.fixture
def client(app: Any) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1", headers=OURS)


@pytest.fixture
def tickets(client: TestClient) -> str:
    client.post("np-workspace/datasets", json={"name": "tickets", "task": "classification"})
    return "np-workspace/datasets/tickets"


def test_another_site_cannot_change_anything(app: Any) -> None:
    other = TestClient(app, base_url="http://127.0.0.1")
    body = {"name": "theirs", "task": "classification"}
    # A form of another site can send JSON as text/plain, yet no header of its own.
    plain = {"content-type": "text/plain", "origin": "http://evil.example"}
    for reply in (
        other.post("np-workspace/datasets", json=body),
        other.post("np-workspace/datasets", json=body, headers=plain),
        other.delete("np-workspace/datasets/theirs"),
        other.post("np-workspace/runs/x/stop"),
    ):
        assert reply.status_code == 422
        assert "x-nlplug-page" in reply.json()["error"]
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    allowed = other.options("np-workspace/datasets", headers=asked).headers
    assert "access-control-allow-origin" not in allowed


def test_rows_are_stored_changed_and_removed(client: TestClient, tickets: str) -> None:
    stored = client.post(f"{tickets}/rows", json={"item": {"text": "My bill"}, "value": "billing"})
    assert stored.json() == {"rows": 1}
    [row] = client.get(tickets).json()["rows"]
    change = {"fields": row["fields"], "value": "other", **{k: row[k] for k in ("place", "digest")}}
    assert client.post(f"{tickets}/rows", json=change).status_code == 200
    again = client.post(f"{tickets}/rows", json=change)
    assert (again.status_code, "has changed" in again.json()["error"]) == (422, True)
    [row] = client.get(tickets).json()["rows"]
    assert row["labels"] == ["other"]
    gone = {"part": "rows", "rows": {"0": row["digest"]}}
    assert client.post(f"{tickets}/remove", json=gone).status_code == 200
    assert client.get(tickets).json()["total"] == 0


def test_a_file_is_imported_and_exported(client: TestClient, tickets: str) -> None:
    lines = b'{"text": "a", "label": ["x"]}\n{"text": "b"}\n'
    added = client.post(f"{tickets}/import?file=../../doccano.jsonl", content=lines)
    assert added.json() == {"rows": 1, "unlabelled": 1}
    assert client.get(f"{tickets}/export?layout=csv").text == "text,label\na,x\n"
    wrong = client.post(f"{tickets}/import?file=bad.jsonl", content=b"{nonsense")
    assert wrong.status_code == 422
    assert wrong.json()["error"].startswith("bad.jsonl:1: not JSON")
    assert client.get(f"{tickets}?part=unlabelled").json()["total"] == 1


@pytest.mark.parametrize(
    ("address", "body", "status", "error"),
    [
        ("datasets", {"name": "../x", "task": "classification"}, 422, "cannot be a name"),
        ("datasets", {"name": "x", "task": "nothing"}, 404, "nothing"),
        ("datasets", {"name": "x"}, 422, "body.task"),
        ("datasets/nothing/rows", {"item": {}, "value": "x"}, 422, "There is no data set"),
        ("datasets/tickets/rows", {"item": {"text": " "}, "value": "x"}, 422, "not a text"),
        ("datasets/tickets/rows", {"value": "x"}, 422, "'item' is None"),
        ("datasets/tickets/rows", {"item": {"text": "a"}, "value": 3}, 422, "not a label"),
        (
            "datasets/tickets/rows",
            {"item": {"text": "a"}, "value": "x", "place": "a"},
            422,
            "'place'",
        ),
        ("runs/nothing/stop", {}, 422, "There is no training run"),
        (
            "datasets/tickets/plan",
            {"settings": {"output": "/tmp/x"}},
            422,
            "cannot be set here",
        ),
    ],
)
def test_bad_requests_get_an_error_that_says_what(
    client: TestClient, tickets: str, address: str, body: Any, status: int, error: str
) -> None:
    reply = client.post(f"np-workspace/{address}", json=body)
    assert (reply.status_code, error in reply.json()["error"]) == (status, True), reply.text


def test_the_check_of_the_data_is_told_in_chinese(client: TestClient) -> None:
    from nlplug.data import check, findings
    from nlplug_webui.workshop.check_texts import FINDINGS, check_values

    source = "".join(Path(part.__file__).read_text("utf-8") for part in (check, findings))
    kinds = set(re.findall(r'Finding\([^,]*, "(\w+)"', source))
    kinds |= set(re.findall(r'_suspect\(train, "(\w+)"', source))
    assert kinds == set(FINDINGS)
    checked = check.DataCheck(estimate="Training is likely to take about 3 min on this CPU.")
    checked.findings = [check.Finding("note", "duplicate", "1 row repeats an earlier one", 1)]
    told = check_values(checked, "zh", Path("w"))
    assert told["findings"][0]["told"] == "有重复的行。"
    assert "约 3 分钟" in told["estimate"]
    assert "told" not in check_values(checked, "en", Path("w"))["findings"][0]


def test_a_browser_sees_an_error_as_a_page(client: TestClient) -> None:
    for address, told in (
        ("runs/nothing/report", "There is no training run"),
        ("datasets/nothing/export", "There is no data set"),
        ("wheels/nothing.whl", "There is no wheel"),
        ("wheels/..%2F..%2Fworkspace.json", "Page not found"),
    ):
        page = client.get(f"np-workspace/{address}", headers={"accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html")
        assert told in page.text
        assert page.status_code in (404, 422)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "json" in client.get(f"np-workspace/{address}").headers["content-type"]
    chinese = {"accept": "text/html", "accept-language": "zh-CN"}
    page = client.get("np-workspace/runs/nothing/report", headers=chinese)
    assert "输入、选项或文件有问题" in page.text
    assert "There is no training run" in page.text


def test_the_page_of_an_error_says_when_to_try_again() -> None:
    full = JSONResponse({"error": "The queue is full."}, 429, {"Retry-After": "1", "X-Other": "a"})
    page = TestClient(ErrorPages(full)).get("/", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["retry-after"]) == (429, "1")
    assert "x-other" not in page.headers
    assert "The queue is full." in page.text


def test_without_a_workspace_the_routes_are_off() -> None:
    client = TestClient(make_app(tasks=TASKS), base_url="http://127.0.0.1", headers=OURS)
    assert client.get("np-workspace/overview").json() == {"path": None}
    body = {"name": "a", "task": "classification"}
    assert client.post("np-workspace/datasets", json=body).status_code in (404, 405)


def test_others_need_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServerError, match="needs a login"):
        make_app(tasks=TASKS, workspace=str(tmp_path / "w"), open_to_all=True)
    assert not (tmp_path / "w").exists()
    monkeypatch.setenv("NLPLUG_API_KEY", "secret")
    app = make_app(tasks=TASKS, workspace=str(tmp_path / "w"), open_to_all=True, any_model=False)
    client = TestClient(app, base_url="http://127.0.0.1", headers=OURS)
    assert client.get("np-workspace/overview").status_code == 401
    allowed = client.get("np-workspace/overview", headers={"x-api-key": "secret"})
    assert allowed.json()["path"] == str(WorkspaceFolder.open(tmp_path / "w").path)


def test_a_folder_that_is_no_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match="is not empty and is not a workspace"):
        make_app(tasks=TASKS, workspace=str(tmp_path))
