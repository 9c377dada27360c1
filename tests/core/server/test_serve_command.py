"""``nlplug serve`` as a user starts and ends it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx
import pytest
from click.testing import CliRunner
from plugin_zoo import install
from server_kit import WAIT
from signals_kit import hung_up_by_default

from nlplug import Bundle
from nlplug.cli.main import main

BODY = {"inputs": "good"}

SLOW = """
import os
from pathlib import Path

from nlplug import ModelSpec, hookimpl
from nlplug.families.sequence_classification import (
    SequenceClassificationModel, SequenceClassificationTask,
)

class Model(SequenceClassificationModel):
    def encode(self, inputs, options):
        Path(os.environ["SLOW_PIPE"]).read_text()  # waits until somebody writes
        return super().encode(inputs, options)

class Slow(SequenceClassificationTask):
    name = "slow"
    title = "Slow"
    description = "Waits for a word."
    default_model = "slow-tiny"

    def bind(self, bundle):
        return Model(bundle)

@hookimpl
def register_tasks():
    return [Slow()]

@hookimpl
def register_models():
    return [ModelSpec(name="slow-tiny", task="slow", path=Path(os.environ["SLOW_MODEL"]))]
"""


@contextmanager
def serving(
    *arguments: str, env: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A running ``nlplug serve``, its address, and the lines that it printed until then."""
    command = [sys.executable, "-m", "nlplug", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | env,
        preexec_fn=hung_up_by_default,
    )
    try:
        lines: list[str] = []
        while process.stderr is not None and (line := process.stderr.readline()):
            lines.append(line.rstrip())
            if "Ctrl-C" in line:
                break
        found = re.search(r"http://127\.0\.0\.1:\d+", "\n".join(lines))
        if found is None:
            pytest.fail("\n".join(lines))
        yield process, found.group(), lines
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def env(zoo: Path) -> dict[str, str]:
    """The environment in which the zoo is installed and nothing else is seen."""
    return {"PYTHONPATH": f"{zoo}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def test_it_serves_what_is_named_and_says_where(env: dict[str, str], bundle: Bundle) -> None:
    with serving(f"mine={bundle.path}", "tone", "--task", "tone", "--preload", env=env) as started:
        _, address, lines = started
        assert lines[0] == "Serving mine, tone"
        assert f"  POST {address}/models/mine" in lines
        models = httpx.get(f"{address}/models", timeout=WAIT).json()
        assert [(model["name"], model["loaded"]) for model in models["models"]] == [
            ("mine", True),
            ("tone", True),
        ]
        assert httpx.post(address, json=BODY, timeout=WAIT).json()[0][0]["label"] == "positive"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_answers_what_it_has_accepted(
    tmp_path: Path, bundle: Bundle, env: dict[str, str], number: signal.Signals
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    site = tmp_path / "site"
    install(site, "nlplug-slow", {"slow_p": SLOW}, plugins={"slow": "slow_p"})
    env = {"PYTHONPATH": f"{site}{os.pathsep}{env['PYTHONPATH']}"}
    env |= {"SLOW_PIPE": str(pipe), "SLOW_MODEL": str(bundle.path)}
    with serving("slow", env=env) as (process, address, _):
        answers: list[httpx.Response] = []

        def ask() -> None:
            try:
                answers.append(httpx.post(address, json=BODY, timeout=WAIT))
            finally:  # a request that failed must not leave the test waiting for a reader
                os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))

        asking = Thread(target=ask)
        asking.start()
        with pipe.open("w") as word:  # opens when the server reads: the request is under way
            process.send_signal(number)
            word.write("go")
        asking.join(WAIT)
        assert answers[0].status_code == 200
        assert process.wait(WAIT) == -signal.SIGTERM


def test_a_taken_port_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", "--port", str(port)])
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"Error: Port {port} of 127.0.0.1 is in use by another program.",
        f"Hint: Stop that program, or choose another port: --port {port + 1}",
    ]


@pytest.mark.parametrize("name", ["no.such.host.invalid", "two..dots", "x" * 64])
def test_a_host_that_does_not_exist_is_one_clear_error(name: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--host", name, "--port", "0"])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: Cannot listen on {name}, port 0 (")


@pytest.mark.parametrize("option", ["--max-body", "--timeout"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_limit_that_is_no_number_is_refused(option: str, value: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "0", option, value])
    assert result.exit_code == 2
    assert result.stderr.endswith(
        f"Error: Invalid value for '{option}': '{value}' is not a finite number.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-model"], "no-such-model"),
        (["mine="], "'mine=' is not NAME=MODEL"),
        (
            ["mine=one", "mine=two"],
            "Two models are to be served as 'mine': one and two.",
        ),
        (["--default", "no-such-model"], "This server has no model 'no-such-model'"),
    ],
)
def test_what_cannot_be_served_is_one_clear_error(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "0", *arguments])
    assert result.exit_code != 0
    assert message in result.stderr.splitlines()[-2]
    assert result.stderr.splitlines()[-1].startswith("Hint: ")


def test_a_model_that_cannot_be_loaded_ahead_is_one_clear_error(
    tmp_path: Path, bundle: Bundle
) -> None:
    import shutil

    broken = shutil.copytree(bundle.path, tmp_path / "broken")
    (broken / "onnx" / "model.onnx").write_bytes(b"no graph")
    arguments = ["serve", "--port", "0", str(broken), "--task", "sentiment", "--preload"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code != 0
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr
