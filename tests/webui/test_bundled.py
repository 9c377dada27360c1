"""Gradio's modules and the texts of a page, sent with few requests."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient

from nlplug_webui.bundled import FRONTEND, GradioFiles
from nlplug_webui.private import PrivatePages
from nlplug_webui.sent_texts import texts_script
from nlplug_webui.workshop.scripts import accepts_gzip

if TYPE_CHECKING:
    from playwright.sync_api import Page


def bundled(files: GradioFiles) -> dict[str, list[str]]:
    """The names in a bundle: its modules and its style sheets."""
    found = re.search(r"const \{ modules, styles \} = (\{.*\});", files.script.decode())
    assert found
    values = json.loads(found.group(1))
    return {"modules": list(values["modules"]), "styles": values["styles"]}


def source_of(name: str) -> str:
    return (FRONTEND / "assets" / name).read_text("utf-8")


def test_a_bundle_has_what_the_components_need_and_not_the_entry() -> None:
    few, many = (bundled(GradioFiles(kinds)) for kinds in (["html"], ["html", "file", "dropdown"]))
    assert len(few["modules"]) < len(many["modules"])
    assert any(name.startswith("Blocks-") for name in few["modules"])
    # A property that only the code of this component reads.
    reads = [
        {name for name in one["modules"] if "allow_custom_value" in source_of(name)}
        for one in (few, many)
    ]
    assert not reads[0]
    assert reads[1]
    page = (FRONTEND / "index.html").read_text("utf-8")
    # The page loads this one itself: a second copy of it would have a state of its own.
    assert not any(f"assets/{name}" in page for name in [*many["modules"], *many["styles"]])


def test_modules_of_a_bundle_name_others_by_their_full_address() -> None:
    source = GradioFiles(["textbox"]).script.decode()
    assert "import.meta.url" not in source
    assert not re.search(r'\b(from|import) ?\(?(\\"|`)\./', source)


def test_a_build_of_another_form_gives_an_empty_bundle(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<script src='elsewhere.js'></script>", "utf-8")
    files = GradioFiles(["html"], tmp_path)
    assert bundled(files) == {"modules": [], "styles": []}
    assert files.styles == b""


def test_a_page_gets_the_texts_that_it_names() -> None:
    page = rb'{"value": "__i18n__{\"__type__\": \"translation_metadata\", \"key\": \"nlplug:a\"}"}'
    tables = {
        "en": {"nlplug:a": "</script>", "nlplug:b": "B"},
        "zh": {"nlplug:a": "甲", "nlplug:b": "乙"},
    }
    script = texts_script(page, tables).decode()
    assert script.startswith("<script>{const t=") and script.count("</script>") == 1
    texts = json.loads(script[script.index("=") + 1 : script.index(";window.")])
    assert texts == {"en": {"nlplug:a": "</script>"}, "zh": {"nlplug:a": "甲"}}
    assert '"zh-TW":t.zh' in script


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("gzip, br", True), ("GZIP;q=1.0", True), ("br", False), ("gzip;q=0", False), ("", False)],
)
def test_a_page_is_compressed_for_browsers_that_accept_it(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
    app = FastAPI()

    @app.get("/page")
    def page() -> HTMLResponse:
        return HTMLResponse("<head></head>gradio_config" + " " * 1000)

    app.add_middleware(PrivatePages, head="<i>", tail=lambda body: b"%d" % len(body))
    client = TestClient(app)
    with client.stream(
        "GET", "/page", headers={"accept": "text/html", "accept-encoding": header}
    ) as reply:
        raw = b"".join(reply.iter_raw())
    assert ("content-encoding" in reply.headers) is accepted
    assert int(reply.headers["content-length"]) == len(raw)
    text = gzip.decompress(raw) if accepted else raw
    assert text.startswith(b"<head><i>1026</head>")


@pytest.mark.browser
@pytest.mark.parametrize("path", ["", "tone", "spans", "compare", "inside", "plugins", "workspace"])
def test_a_page_opens_with_few_requests(open_page: Callable[..., Page], path: str) -> None:
    # A language of its own gives the page a profile of its own.
    page = open_page(path, locale=f"en-x-{path or 'home'}")
    page.locator(".np-foot").wait_for()
    page.wait_for_load_state()
    entries = page.evaluate(
        "performance.getEntries().filter((one) => /^(navigation|resource)$/.test(one.entryType)"
        " && one.name.startsWith('http')).map((one) => one.name)"
    )
    assert len(entries) <= 40
    modules = [name for name in entries if re.search(r"/assets/.*\.js$", name)]
    assert len(modules) <= 2, modules
