"""The examples do what they say."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from docrunner import Block, check
from fastapi.testclient import TestClient
from members import ROOT
from playwright.sync_api import sync_playwright
from server_kit import running

from nlplug import PluginHost
from nlplug.cli.serve import serve
from nlplug.server import create_app

EXAMPLES = ROOT / "examples"


def test_the_application_judges_reviews_and_refuses_blank_ones() -> None:
    app = runpy.run_path(str(EXAMPLES / "fastapi" / "app.py"))["app"]
    with TestClient(app) as client:
        good = client.post("/reviews", json={"product": "pen", "text": "I loved it"})
        bad = client.post("/reviews", json={"product": "pen", "text": "It broke at once."})
        blank = client.post("/reviews", json={"product": "pen", "text": " "})
    assert (good.json()["negative"], bad.json()["negative"]) == (False, True)
    assert blank.status_code == 422


def test_the_nightly_job_judges_each_file_once(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "monday.csv").write_text("text\nGood.\n", encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for _ in range(2):
        subprocess.run(
            [str(EXAMPLES / "batch" / "judge_new.sh")],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            check=True,
            capture_output=True,
        )
    (result,) = (tmp_path / "done").iterdir()
    assert result.name == "monday.csv"
    assert "Good.,positive," in result.read_text(encoding="utf-8")


@pytest.mark.browser
def test_the_page_shows_the_answer_of_a_server() -> None:
    chromium = os.environ.get("NLPLUG_CHROMIUM") or shutil.which("chromium")
    app = create_app(PluginHost.discover(), cors=["*"])
    with running(app) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"file://{EXAMPLES / 'browser' / 'index.html'}?server={address}")
        page.get_by_text("positive: 0.9").wait_for(timeout=60_000)
        page.locator("#text").fill("It broke at once.")
        page.get_by_text("negative: 0.9").wait_for(timeout=60_000)
        browser.close()


def test_the_container_runs_a_command_that_exists() -> None:
    lines = (EXAMPLES / "compose" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    command = next(line for line in lines if line.startswith("CMD")).removeprefix("CMD ")
    words = tomllib.loads(f"command = {command}")["command"]
    install = next(line for line in lines if line.startswith("RUN")).removeprefix("RUN ")
    check(Block("console", f"$ {' '.join(words)}\n$ {install.split(' && ')[0]}\n", 1))


def test_the_proxy_the_container_and_the_server_agree() -> None:
    """Names, port, size of a body and times of the compose file, nginx and ``nlplug serve``."""
    folder = EXAMPLES / "compose"
    nginx = (folder / "nginx.conf").read_text(encoding="utf-8")
    services = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))["services"]
    dockerfile = (folder / "Dockerfile").read_text(encoding="utf-8")
    defaults = {option.name: option.default for option in serve.params}

    def setting(name: str) -> str:
        (found,) = re.findall(rf"^\s*{name} (.*?);", nginx, re.MULTILINE)
        return str(found)

    host, port = setting("proxy_pass").removeprefix("http://").split(":")
    assert host in services
    assert port == str(defaults["port"]) and f"EXPOSE {port}" in dockerfile
    assert f'"--allowed-host", "{setting("server_name")}"' in dockerfile
    assert setting("client_max_body_size") == f"{defaults['max_body']:g}m"
    assert int(setting("proxy_read_timeout").rstrip("s")) > defaults["timeout"]
    assert int(services[host]["stop_grace_period"].rstrip("s")) > defaults["timeout"]
