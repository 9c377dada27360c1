"""What a user sees of an error: two lines, an exit code, and no traceback unless asked for."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from plugin_zoo import environment

from nlplug.cli.main import main

from .conftest import Write

FAIL = """
import click
from nlplug import NlplugError
from nlplug.errors import PluginError, InputError

@hookimpl
def register_commands(cli):
    @cli.command()
    def fail():
        {body}
"""


def fail(write: Write, body: str) -> Result:
    write(FAIL.format(body=body))
    return CliRunner().invoke(main, ["fail"])


def test_an_error_of_ours_is_two_lines_and_its_exit_code(write: Write) -> None:
    done = fail(write, "raise InputError('The text is empty.', hint='Give one.')")

    assert done.exit_code == 2
    assert done.stderr.splitlines() == ["Error: The text is empty.", "Hint: Give one."]
    assert done.stdout == ""


def test_without_a_hint_it_is_one_line(write: Write) -> None:
    done = fail(write, "raise NlplugError('It broke.')")

    assert (done.exit_code, done.stderr) == (1, "Error: It broke.\n")


def test_an_unexpected_error_is_one_line_and_where_to_report_it(write: Write) -> None:
    done = fail(write, "{}['key']")

    error, hint = done.stderr.splitlines()
    assert done.exit_code == 1
    assert error == "Error: KeyError: 'key'"
    assert "report" in hint
    assert "NLPLUG_DEBUG=1" in hint


@pytest.mark.parametrize("body", ["{}['key']", "raise NlplugError('It broke.')"])
def test_debug_shows_the_traceback(
    write: Write, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setenv("NLPLUG_DEBUG", "1")

    assert "Traceback (most recent call last)" in fail(write, body).stderr


def test_a_wrong_option_exits_with_2() -> None:
    done = CliRunner().invoke(main, ["plugins", "list", "--no-such-option"])

    assert done.exit_code == 2
    assert "No such option" in done.stderr


def test_an_unknown_command_gets_a_hint() -> None:
    done = CliRunner().invoke(main, ["plugin"])

    assert done.exit_code == 2
    assert "No such command 'plugin'" in done.stderr
    assert "Did you mean 'plugins'?" in done.stderr
    assert "nlplug plugins install plugin" in done.stderr


def test_the_name_of_a_task_as_a_command_gets_a_hint(write: Write) -> None:
    write("\n@hookimpl\ndef register_tasks():\n    return [Plain()]")

    done = CliRunner().invoke(main, ["plain", "text"])

    assert done.exit_code == 2
    assert "nlplug run plain" in done.stderr


def test_exit_codes_of_commands_are_kept(write: Write) -> None:
    assert fail(write, "raise SystemExit(9)").exit_code == 9


def test_a_value_that_a_command_returns_is_no_exit_code(write: Write) -> None:
    assert fail(write, "return 3").exit_code == 0


def test_a_panic_of_a_library_is_one_line(write: Write) -> None:
    done = fail(write, "raise BaseException('index out of bounds')")

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == "Error: BaseException: index out of bounds"


def test_an_interrupt_is_quiet_and_exits_with_130(write: Write) -> None:
    done = fail(write, "raise KeyboardInterrupt")

    assert done.exit_code == 130
    assert done.stderr.strip() == ""


def test_a_declined_question_exits_with_1(write: Write) -> None:
    write(FAIL.format(body="click.confirm('Sure?', abort=True)"))

    done = CliRunner().invoke(main, ["fail"], input="n\n")

    assert done.exit_code == 1
    assert "Aborted!" in done.stderr


def in_process(site: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nlplug", *arguments],
        env=environment(site),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_a_process_quietly(write: Write, site: Path) -> None:
    write(FAIL.format(body="print('ready', flush=True); input()"))
    process = in_process(site, "fail")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert errors.strip() == ""


@pytest.mark.parametrize("printed", ["click.echo('line')", "print('line')"])
def test_a_reader_that_goes_away_is_no_error(write: Write, site: Path, printed: str) -> None:
    write(FAIL.format(body=f"input()\n        for _ in range(20000): {printed}"))
    process = in_process(site, "fail")
    assert process.stdout is not None
    process.stdout.close()

    _, errors = process.communicate("go\n", timeout=60)

    assert errors == ""
    assert process.returncode == 1
