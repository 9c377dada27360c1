"""Check the English of the documentation and of the commands' help (part of ``make lint``).

proselint finds clichés, redundancy and repeated words; ``tools/prose.toml`` adds the words that
this project avoids. Code in the pages is not read. Nothing is requested from the network.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
from proselint.checks import __register__ as proselint_checks
from proselint.config import DEFAULT
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check
from proselint.registry.checks.types import PreferredForms
from proselint.tools import LintFile

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "tools" / "prose.toml"
PAGES = ("*.md", "docs/*.md", "examples/**/*.md", "plugins/*/README.md")
CHINESE = ".zh.md"
GENERATED = ("docs/mutants.md",)  # mostly code

_FENCE = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"`[^`]*`")
_TARGET = re.compile(r"\]\([^)\s]*\)")
_COMMAND = re.compile(r"^ *nlplug .*$", re.MULTILINE)
_HEADING = re.compile(r"^(#+ .*|\|.*)$", re.MULTILINE)


def prose(markdown: str) -> str:
    """The text of a page without its code, on the same lines."""

    def blank(match: re.Match[str]) -> str:
        return "…" + "\n" * match[0].count("\n")

    text = _CODE.sub(blank, _COMMENT.sub(blank, _FENCE.sub(blank, markdown)))
    return _HEADING.sub(r"\1.", _TARGET.sub("] ", text).replace("|", ". "))


def help_texts(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """The help of a command, of its options and of its subcommands, each with its name."""
    yield name, _COMMAND.sub("…", command.help or "")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield f"{name} {parameter.opts[0]}", parameter.help or ""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from help_texts(found, f"{name} {child}")


def linter() -> dict[str, bool]:
    """Register all checks; which of them apply, the most specific first."""
    rules = tomllib.loads(RULES.read_text(encoding="utf-8"))
    # A line may end between two words.
    forms = {form.replace(" ", r"\s"): better for form, better in rules["avoid"].items()}
    avoid = Check(
        check_type=PreferredForms(forms),
        path="avoid",
        message="Instead of '{1}' write: {0}.",
    )
    CheckRegistry().register_many((*proselint_checks, avoid))
    chosen = DEFAULT["checks"] | {"avoid": True} | dict.fromkeys(rules["without"], False)
    return dict(sorted(chosen.items(), key=lambda item: -item[0].count(".")))


def main() -> int:
    """Print what was found, one line each; 1 if there was anything."""
    from nlplug.cli.main import main as commands

    checks = linter()
    pages = sorted(page for pattern in PAGES for page in ROOT.glob(pattern))
    names = {str(page.relative_to(ROOT)): page for page in pages}
    texts = [
        (name, prose(page.read_text(encoding="utf-8")))
        for name, page in names.items()
        if not name.endswith(CHINESE) and name not in GENERATED
    ]
    texts += [(name, prose(text)) for name, text in help_texts(commands, "nlplug") if text]
    found = 0
    for name, text in texts:
        for result in LintFile(name, text).lint({"max_errors": 1000, "checks": checks}):
            print(f"{name}:{result.pos[0]}: {result.check_result.message}")
            found += 1
    print(f"{found} findings in {len(texts)} texts.", file=sys.stderr)
    return int(found > 0)


if __name__ == "__main__":
    raise SystemExit(main())
