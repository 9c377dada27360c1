"""Write ``docs/api.md`` from the list of the public API and the docstrings (``make api``).

The sources are parsed and not imported, so that no optional dependency is needed.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "core"
PAGE = ROOT / "docs" / "api.md"
LIST = CORE / "nlplug" / "public_api.toml"
sys.path.insert(0, str(CORE))

# Importable through the line above.
from nlplug.hookspecs import CONTRACT_VERSION  # noqa: E402
from nlplug.version import compatible_range  # noqa: E402

_INTRODUCTION = """\
# The public API

<!-- Written by `make api`. Change core/nlplug/public_api.toml or a docstring instead. -->

Plugins and programs may import the names on this page. All other modules and names of `nlplug` are
internal and may change in any release. The list is in `core/nlplug/public_api.toml`; tests hold
that the plugins and the web UI of this repository import nothing else.

## What is promised

- A name on this page keeps its meaning within a minor version. So a plugin requires the minor
  version that it was tested with, such as `nlplug{accepted}`, and raises the upper bound after its
  tests have passed with the next one.
- A name, argument or option that is to be removed is deprecated first. It works for two minor
  versions: what 0.3 deprecates works in 0.3 and 0.4, and 0.5 may remove it. Its use gives a
  `DeprecationWarning` that names the replacement, and `CHANGELOG.md` lists it.
- New names, new arguments with a default and new fields of records can appear in any minor version.
- `nlplug.hookspecs.CONTRACT_VERSION` is the version of the hooks and of this page. It increases
  when a change breaks plugins that use only names on this page. A plugin states the version that it
  was written for as `NLPLUG_CONTRACT = {contract}`. A plugin that states another version is not
  loaded, and the error names the distribution to upgrade.
"""


def page() -> str:
    """The text of ``docs/api.md``."""
    parts = [_INTRODUCTION.format(accepted=compatible_range(), contract=CONTRACT_VERSION)]
    shown: dict[tuple[str, str], str] = {}
    for area in tomllib.loads(LIST.read_text(encoding="utf-8"))["areas"]:
        parts.append(f"## {area['title']}\n\n{area['about']}\n")
        for module, names in area["modules"].items():
            lines = [f"### `{module}`", "", _sentence(ast.get_docstring(_tree(module))), ""]
            for name in names:
                source, node, text = definition(module, name)
                first = shown.setdefault((source, name), module)
                if first == module:
                    lines += _described(name, node, text)
                else:
                    lines.append(f"- `{name}`: the same as `{first}.{name}`.")
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _file(module: str) -> Path:
    folder = CORE.joinpath(*module.split("."))
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def _tree(module: str) -> ast.Module:
    return ast.parse(_file(module).read_text(encoding="utf-8"))


def definition(module: str, name: str) -> tuple[str, ast.stmt, str]:
    """The module that defines a name, the statement, and the text that documents it.

    Raises:
        SystemExit: The module has no such name.
    """
    tree = _tree(module)
    for node, text in _documented(tree.body):
        if name in _targets(node):
            return module, node, text
    for found in ast.walk(tree):
        match found:
            case ast.ImportFrom(module=str(source), names=names) if source.startswith("nlplug."):
                if name in {alias.asname or alias.name for alias in names}:
                    return definition(source, name)
    raise SystemExit(f"{module} has no {name!r}. Correct core/nlplug/public_api.toml.")


def _documented(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Statements with their docstrings; that of an assignment is the string under it."""
    for node, following in zip(body, [*body[1:], None], strict=True):
        match node, following:
            case ((ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef()), _):
                yield node, ast.get_docstring(node) or ""
            case _, ast.Expr(value=ast.Constant(value=str(text))):
                yield node, text
            case _:
                yield node, ""


def _targets(node: ast.stmt) -> list[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _described(name: str, node: ast.stmt, text: str) -> list[str]:
    about = f": {_sentence(text)}" if text else ""
    match node:
        case ast.FunctionDef():
            return [f"- `{_signature(node)}`{about}"]
        case ast.ClassDef():
            bases = ", ".join(ast.unparse(base) for base in node.bases)
            lines = [f"- `class {name}({bases})`{about}" if bases else f"- `class {name}`{about}"]
            return [*lines, *(f"  - {line}" for line in _members(node))]
    return [f"- `{ast.unparse(node)}`{about}"]


def _members(node: ast.ClassDef) -> Iterator[str]:
    """Public fields, methods and properties, the constructor and calls, one line each."""
    for item, text in _documented(node.body):
        name = next(iter(_targets(item)), "_")
        if name.startswith("_") and name not in ("__init__", "__call__"):
            continue
        about = f": {_sentence(text)}" if text else ""
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            marks = [ast.unparse(mark) for mark in item.decorator_list]
            called = _signature(item, method=True)
            yield f"`{name if 'property' in marks else called}`{about}"
        else:
            yield _field(item) or f"`{ast.unparse(item)}`{about}"


def _field(node: ast.stmt) -> str | None:
    """A pydantic field with its default and its description; None for another statement."""
    match node:
        case ast.AnnAssign(value=ast.Call(func=ast.Name(id="Field"), keywords=keywords)):
            given = {keyword.arg: keyword.value for keyword in keywords}
            default = f" = {ast.unparse(given['default'])}" if "default" in given else ""
            about = f": {ast.literal_eval(given['description'])}" if "description" in given else ""
            return f"`{ast.unparse(node.target)}: {ast.unparse(node.annotation)}{default}`{about}"
    return None


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, *, method: bool = False) -> str:
    arguments = ast.unparse(node.args)
    if method:
        arguments = re.sub(r"^(self|cls)(, (/, )?)?", "", arguments)
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({arguments}){result}"


def _sentence(docstring: str | None) -> str:
    """The first paragraph of a docstring, on one line, as Markdown."""
    paragraph = (docstring or "").strip().split("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
