"""What may import what: plugins → core ← webui, no cycles, and no training in what serves."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core" / "nlplug"
WEBUI = ROOT / "webui" / "nlplug_webui"
PLUGINS = sorted(path for path in ROOT.glob("plugins/*/nlplug_*") if path.is_dir())
PACKAGES = [CORE, *PLUGINS, WEBUI]

TRAINING_LIBRARIES = {"torch", "transformers", "optimum", "datasets", "accelerate"}
FAMILY_FREE = (
    "cli",
    "data",
    "evaluation",
    "explanations",
    "export",
    "inside",
    "plugins",
    "server",
    "text",
    "train",
    "workspace",
)
LONGEST_MODULE = 400


def modules(package: Path) -> list[Path]:
    """The modules of a package; templates are no modules."""
    return [
        path
        for path in sorted(package.rglob("*.py"))
        if "templates" not in path.relative_to(package).parts
    ]


def trains(path: Path) -> bool:
    """Whether a module of core may import torch: it trains, or it exports."""
    folder, *others = path.relative_to(CORE).parts
    return folder in {"train", "export"} or (folder == "families" and others[-1] == "training.py")


def serving() -> list[Path]:
    """The modules of core that a process may import which has no training library."""
    return [
        path
        for path in modules(CORE)
        if not trains(path)
        and not (path.relative_to(CORE).parts[0] == "families" and path.name == "export.py")
    ]


def dotted(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that a module imports, inside functions too.

    ``require("torch", …)`` and ``import_module("torch")`` count; ``if TYPE_CHECKING`` does not.
    """
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).split(".")[-1]
            if called in {"require", "import_module", "__import__"}:
                yield node.lineno, str(node.args[0].value)
        todo.extend(ast.iter_child_nodes(node))


def offences(paths: list[Path], forbidden: set[str]) -> list[str]:
    """``file:line imports name`` for each import of a name in ``forbidden`` or below it."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for line, name in imports(path)
        if any(name == bad or name.startswith(f"{bad}.") for bad in forbidden)
    ]


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after running ``code``."""
    script = f"{textwrap.dedent(code)}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_serving_runs_where_no_training_library_and_no_gradio_exists() -> None:
    names = [dotted(path, CORE) for path in serving()]
    names += [dotted(path, package) for package in PLUGINS for path in modules(package)]
    banned = sorted(TRAINING_LIBRARIES | {"gradio"})
    loaded = loaded_after(
        f"""
        import importlib, sys

        class Ban:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {banned!r}:
                    raise ModuleNotFoundError(f"{{name}} is banned here", name=name)

        sys.meta_path.insert(0, Ban())
        for name in {names!r}:
            importlib.import_module(name)
        """
    )
    assert not loaded & set(banned)


def test_training_libraries_are_named_only_by_train_and_export() -> None:
    others = [path for path in modules(CORE) if not trains(path)]
    others += [path for package in [*PLUGINS, WEBUI] for path in modules(package)]
    assert offences(others, TRAINING_LIBRARIES) == []


def test_only_the_web_ui_imports_gradio() -> None:
    paths = [path for package in [CORE, *PLUGINS] for path in modules(package)]
    assert offences(paths, {"gradio"}) == []


@pytest.mark.parametrize("folder", ["families", "runtime", "models", "text", "data"])
def test_what_serves_never_imports_what_trains(folder: str) -> None:
    # The settings of a family's training are read by the command line, and import nothing heavy.
    paths = [path for path in serving() if path.relative_to(CORE).parts[0] == folder]
    paths = [path for path in paths if path.name != "settings.py"]
    assert paths
    assert offences(paths, {"nlplug.train", "nlplug.export"}) == []


def test_what_is_free_of_families_names_none() -> None:
    names = {path.name for path in (CORE / "families").iterdir() if (path / "__init__.py").exists()}
    assert "seq2seq" in names
    found = []
    for folder in FAMILY_FREE:
        for path in modules(CORE / folder):
            text = path.read_text(encoding="utf-8").lower()
            spoken = text.replace("-", "_").replace(" ", "_")
            found += [f"{path.relative_to(ROOT)} names {name}" for name in names if name in spoken]
    assert found == []


def test_core_imports_no_plugin_and_no_ui() -> None:
    forbidden = {package.name for package in [*PLUGINS, WEBUI]}
    assert offences(modules(CORE), forbidden) == []


def test_core_names_no_task_in_its_code() -> None:
    tasks: set[str] = set()
    for package in PLUGINS:
        metadata = tomllib.loads((package.parent / "pyproject.toml").read_text(encoding="utf-8"))
        tasks |= metadata["project"]["entry-points"]["nlplug"].keys()
    # Also what the Hub and Optimum call the tasks of a family; its data sets call a column so.
    tasks -= {"translation", "fill-mask", "text2text-generation", "feature-extraction"}
    found = []
    for path in modules(CORE):
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno} names {node.value!r}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value in tasks
        ]
    assert found == []


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_imports_core_alone(package: Path) -> None:
    others = {other.name for other in [*PLUGINS, WEBUI] if other != package}
    assert offences(modules(package), others) == []


def test_the_web_ui_imports_no_plugin_and_no_training() -> None:
    forbidden = {package.name for package in PLUGINS} | {"nlplug.train", "nlplug.export"}
    assert offences(modules(WEBUI), forbidden) == []


def test_importing_nlplug_loads_nothing_heavy() -> None:
    heavy = {"numpy", "onnxruntime", "pydantic", "pluggy", "click", "tokenizers", "huggingface_hub"}
    assert not loaded_after("import nlplug") & heavy


def test_the_help_of_the_command_line_loads_nothing_heavy() -> None:
    loaded = loaded_after(
        """
        from nlplug.cli.main import main
        try:
            main(["--help"])
        except SystemExit as done:
            assert not done.code
        """
    )
    assert not loaded & {"numpy", "onnxruntime", "pydantic", "tokenizers", "huggingface_hub"}


def module_graph(package: Path) -> dict[str, set[str]]:
    """Module → the modules of the same package that it imports, for types and in functions too."""
    names = {dotted(path, package): path for path in modules(package)}
    return {
        name: {
            f"{source}.{imported}" if f"{source}.{imported}" in names else source
            for source, imported in imported_names(path)
            if source in names
        }
        - {name}
        for name, path in names.items()
    }


def imported_names(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of each ``from module import name``, and each ``import module``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def cycles(graph: dict[str, set[str]]) -> list[str]:
    """One cycle through each module that is in any: ``a → b → a``, each cycle once."""
    found: dict[frozenset[str], str] = {}
    for start in sorted(graph):
        came_from: dict[str, str] = {}
        todo = [start]
        while todo and start not in came_from:
            module = todo.pop(0)
            for imported in sorted(graph[module] - came_from.keys()):
                came_from[imported] = module
                todo.append(imported)
        if start in came_from:
            path = [start, came_from[start]]
            while path[-1] != start:
                path.append(came_from[path[-1]])
            found.setdefault(frozenset(path), " → ".join(reversed(path)))
    return list(found.values())


def test_a_cycle_is_found_with_its_path() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}}

    assert cycles(graph) == ["a → b → c → a"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_no_modules_import_each_other_in_a_circle(package: Path) -> None:
    assert cycles(module_graph(package)) == []


def home_of_private(module: str, name: str) -> list[str] | None:
    """The package that holds the private module or name of an import; None if nothing is private.

    ``from nlplug.models._atomic import lock`` and ``from nlplug.models.cache import _lock`` both
    belong to ``nlplug.models``.
    """
    parts = [*module.split("."), *filter(None, [name])]
    roots = {package.name: package.parent for package in PACKAGES}
    for index, part in enumerate(parts):
        if parts[0] in roots and re.fullmatch(r"_(?!_).*", part):
            owner = parts[:index]
            return owner if roots[parts[0]].joinpath(*owner).is_dir() else owner[:-1]
    return None


def test_no_private_module_or_name_is_imported_from_another_package() -> None:
    found = []
    for package in PACKAGES:
        for path in modules(package):
            folder = list(path.relative_to(package.parent).parent.parts)
            for module, name in imported_names(path):
                home = home_of_private(module, name)
                if home is not None and folder[: len(home)] != home:
                    found.append(f"{path.relative_to(ROOT)} imports {module}.{name}")
    assert found == []


def test_no_module_is_too_long_to_read_at_a_sitting() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for package in PACKAGES
        for path in modules(package)
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_the_map_of_decoding_names_each_module() -> None:
    package = CORE / "runtime" / "decoding"
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    entries = [line.partition(":")[0] for line in text.splitlines() if line.startswith("- `")]
    named = set(re.findall(r"`(\w+)`", " ".join(entries)))
    assert named == {path.stem for path in modules(package)} - {"__init__"}


def test_inputs_are_never_checked_by_assert() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in PACKAGES
        for path in modules(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in modules(package)
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert silent == []
