"""Runs the code blocks of a Markdown page, so that what a page shows stays true.

Which blocks run is visible in the page itself:

- A ``python`` block runs as a program of its own. One that shows ``>>>`` prompts is a doctest:
  its shown output has to appear (``...`` stands for anything).
- A ``console`` block runs each ``$ command`` in a shell; output shown below a command is compared,
  ``...`` or ``…`` stands for anything, and a command that shows none only has to succeed. Shown
  output that starts with ``Error:`` asks for a failure.
- ``<!-- file: path -->`` above a block writes it to that path, relative to where the blocks run.
- ``<!-- not run: reason -->`` above a block keeps it from running; then ``check`` still holds its
  commands against what exists: make targets, options of ``nlplug``, extras of the packages.

All blocks of a page run in one folder, in the page's order.
"""

from __future__ import annotations

import doctest
import itertools
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from nlplug.cli.main import main
from nlplug.errors import UnknownTask

ROOT = Path(__file__).resolve().parent.parent
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_DOCTEST = (
    "import doctest, sys\n"
    "test = doctest.DocTestParser().get_doctest(sys.stdin.read(), {}, 'block', None, 0)\n"
    f"runner = doctest.DocTestRunner(optionflags={_FLAGS})\n"
    "sys.exit(runner.run(test).failed)"
)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page.

    Attributes:
        language: What stands behind the opening fence, such as ``python``.
        text: The block without its fences.
        line: Line of the page that opens it, from 1.
        not_run: The page's reason not to run it, or None.
        file: The path that the page gives it, or None.
    """

    language: str
    text: str
    line: int
    not_run: str | None = None
    file: str | None = None


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a Markdown page, each with the comment that stands right above it."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    above = ""
    number = 0
    while number < len(lines):
        line = lines[number]
        fence = re.match(r"(`{3,})(\w*)\s*$", line)
        if fence:
            end = lines.index(fence[1], number + 1)
            found.append(
                Block(
                    language=fence[2],
                    text="\n".join(lines[number + 1 : end]) + "\n",
                    line=number + 1,
                    not_run=_comment("not run", above),
                    file=_comment("file", above),
                )
            )
            number = end
            above = ""
        elif line.strip():
            above = line
        number += 1
    return found


def _comment(key: str, line: str) -> str | None:
    match = re.fullmatch(rf"<!-- {key}: (.+?) -->", line.strip())
    return match[1] if match else None


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Each ``$ command`` of a console block with the output shown below it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        while command.endswith("\\"):
            more, _, output = output.partition("\n")
            command = f"{command}\n{more}"
        yield command, output


def run(
    block: Block,
    folder: Path,
    env: Mapping[str, str] | None = None,
    python: str | Path | None = None,
) -> None:
    """Run one block in ``folder``, or write it there if the page gives it a path.

    Args:
        block: The block.
        folder: Where it runs.
        env: Further environment variables.
        python: The interpreter, None for that of the tests; the commands of its environment come
            first in ``PATH``.

    Raises:
        AssertionError: It failed, or showed something else than the page does.
    """
    python = python or sys.executable
    if block.file:
        target = folder / block.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text, encoding="utf-8")
    elif block.language == "python":
        _run_python(block, folder, _environment(env, python), python)
    elif block.language == "console":
        for command, output in commands(block):
            _run_command(command, output, block, folder, _environment(env, python))


def _environment(
    extra: Mapping[str, str] | None, python: str | Path | None = None
) -> dict[str, str]:
    path = os.pathsep.join([str(Path(python or sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "COLUMNS": "100", **(extra or {})}


def _run_python(block: Block, folder: Path, env: dict[str, str], python: str | Path) -> None:
    shown = ">>> " in block.text
    arguments = ["-c", _DOCTEST if shown else block.text]
    done = subprocess.run(
        [str(python), *arguments],
        input=block.text if shown else "",
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"line {block.line}:\n{done.stdout}{done.stderr}"


def _run_command(
    command: str, output: str, block: Block, folder: Path, env: dict[str, str]
) -> None:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    where = f"line {block.line}: $ {command}"
    fails = output.startswith("Error:")
    assert (done.returncode != 0) == fails, f"{where}\nexit {done.returncode}\n{done.stdout}"
    wanted = output.replace("…", "...")
    if wanted.strip():
        same = doctest.OutputChecker().check_output(wanted, done.stdout, _FLAGS)
        assert same, f"{where}\nshown:\n{output}\ngot:\n{done.stdout}"


def check(block: Block) -> None:
    """Hold the commands of a block that does not run against what exists.

    Raises:
        AssertionError: A make target, an option or an extra that is not there.
    """
    if block.language == "python":
        examples = doctest.DocTestParser().get_examples(block.text)
        source = "".join(example.source for example in examples) or block.text
        compile(source, f"line {block.line}", "exec")
    for command, _ in commands(block) if block.language == "console" else ():
        words = shlex.split(command.replace("\\\n", " "), comments=True)
        while words and re.fullmatch(r"\w+=.*", words[0]):
            words.pop(0)
        checker = _CHECKERS.get(words[0])
        assert checker, f"line {block.line}: nothing here can check $ {command}"
        checker(words[1:], f"line {block.line}: $ {command}")


def check_sentences(page: Path) -> None:
    """Hold the commands that the sentences and tables of a page name against what exists.

    Raises:
        AssertionError: A command or an option that is not there.
    """
    text = re.sub(r"^(`{3,}).*?^\1$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for command in re.findall(r"`(nlplug [^`]+)`", text):
        _check_nlplug(shlex.split(command)[1:], command)


def _check_make(words: list[str], where: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, is_variable, _ = word.partition("=")
        pattern = rf"^{re.escape(name)} *\?=" if is_variable else rf"^{re.escape(name)}:"
        assert re.search(pattern, makefile, re.MULTILINE), f"{where}\nMakefile has no {name}"


def _check_nlplug(words: list[str], where: str) -> None:
    """The command has to take these options, and no more arguments than it has.

    Words such as ``TASK`` and ``…`` stand for anything. Tasks of the tutorial are not installed
    here, so their options are not checked.
    """
    command: click.Command = main
    context = click.Context(main, info_name="nlplug")
    words = list(itertools.takewhile(lambda word: not re.match(r"\d?[<>|&;]", word), words))
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        if re.fullmatch(r"[A-Z_]+|…|\.\.\.", words[0]):
            return
        try:
            found = command.get_command(context, words[0])
        except UnknownTask:
            return
        assert found is not None, f"{where}\nno command {words[0]}"
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    if isinstance(command, click.Group):
        return
    words = [word for word in words if word not in ("…", "...")]
    if words and words[-1].startswith("--"):  # an option alone, as sentences name it
        words.append("1")
    try:
        left = command.make_parser(context).parse_args(words)[1]
    except click.UsageError as error:
        raise AssertionError(f"{where}\n{error.format_message()}") from None
    left = left[1:] if left == ["1"] else left  # that option takes no value
    assert not left, f"{where}\n{command.name} takes no argument {left[0]!r}"


def _check_git(words: list[str], where: str) -> None:
    assert words[0] in ("clone", "lfs"), f"{where}\nnothing here can check git {words[0]}"


def _check_python(words: list[str], where: str) -> None:
    assert (ROOT / words[0]).is_file(), f"{where}\nthere is no {words[0]}"


def _check_pip(words: list[str], where: str) -> None:
    """Each extra that the line names has to exist in the project that it names."""
    for name, extras in re.findall(r"(?:^|\s)([\w.-]+)\[([\w,]+)\]", " ".join(words)):
        folders = {
            tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"]: path
            for path in [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml")]
        } | {".": ROOT / "pyproject.toml"}
        if name not in folders:
            continue
        project = tomllib.loads(folders[name].read_text(encoding="utf-8"))["project"]
        missing = set(extras.split(",")) - project.get("optional-dependencies", {}).keys()
        assert not missing, f"{where}\n{name} has no extra {', '.join(sorted(missing))}"


_CHECKERS = {
    "git": _check_git,
    "make": _check_make,
    "nlplug": _check_nlplug,
    "pip": _check_pip,
    "python": _check_python,
}
