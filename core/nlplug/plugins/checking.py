"""``nlplug plugins check``: check one plugin by every rule, and report what was found."""

from __future__ import annotations

import importlib
import re
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nlplug.errors import MissingExtra, NlplugError, PluginError
from nlplug.plugins.contract import Check, check_model, check_task
from nlplug.plugins.failures import describe
from nlplug.plugins.metadata import ALIASES, GROUP, KINDS, TASK, normalize, scan

if TYPE_CHECKING:
    from nlplug.models.spec import ModelSpec
    from nlplug.plugins import Plugin, PluginHost, PluginRecord
    from nlplug.task import Task


def check_plugin(
    host: PluginHost, record: PluginRecord, *, run_examples: bool = True
) -> Iterator[Check]:
    """Load one plugin and check everything that it offers.

    Args:
        host: The host of the plugin.
        record: The plugin to check.
        run_examples: Whether to answer the examples with the embedded default model.
    """
    yield Check("entry point", True, f"{record.name} = {record.module}")
    if record.cause is not None:
        yield Check("loads", False, record.cause, record.hint or "")
        return
    try:
        plugin = host.load(record.name)
    except PluginError as error:
        failed = _of(host, record)
        yield Check("loads", False, failed.cause or error.message, failed.hint or "")
        return
    yield Check("loads", True, f"contract, hooks and signatures of {record.module}")
    if not plugin.tasks and record.kind == TASK:
        yield Check(
            "kind",
            False,
            "it registers no task, and its metadata does not say what it is instead",
            f'Add {record.name} = "commands" (or "models", "routes", …) to '
            '[project.entry-points."nlplug.kinds"].',
        )
    for task in plugin.tasks:
        if task.name == record.name:
            yield from check_task(task)
            yield from _check_default(host, plugin, task, run_examples=run_examples)
    for spec in plugin.models:
        yield from check_model(spec)
        if spec.path is not None:
            yield _opens(spec)
    yield from _check_aliases(host, record)


def _of(host: PluginHost, record: PluginRecord) -> PluginRecord:
    return next(
        found
        for found in host.records()
        if (found.name, found.dist, found.module) == (record.name, record.dist, record.module)
    )


def _check_aliases(host: PluginHost, record: PluginRecord) -> Iterator[Check]:
    for alias in _of(host, record).aliases:
        try:
            found = host.task(alias).name
        except NlplugError as error:
            yield Check(f"alias {alias}", False, error.message, error.hint or "")
        else:
            yield Check(f"alias {alias}", True, found)


def _opens(spec: ModelSpec) -> Check:
    from nlplug.models.bundle import Bundle

    label = f"model {spec.name!r} opens"
    try:
        bundle = Bundle.open(Path(str(spec.path)), verify=True)
    except NlplugError as error:
        return Check(label, False, error.message, error.hint or "")
    return Check(label, True, ", ".join(bundle.graphs.get("model", bundle.graphs)))


def _check_default(
    host: PluginHost, plugin: Plugin, task: Task, *, run_examples: bool
) -> Iterator[Check]:
    label = f"{type(task).__name__}.default_model"
    if task.default_model is None:
        yield Check(f"{label} is registered", True, "none; callers pass model=")
        return
    spec = host.find_model(task.default_model)
    if spec is None:
        yield Check(
            f"{label} is registered",
            False,
            f"no installed plugin registers the model {task.default_model!r}",
            "Return its ModelSpec from register_models.",
        )
        return
    yield Check(f"{label} is registered", True, spec.name)
    if run_examples and spec.path is not None and task.examples:
        yield _answers_examples(task, spec)


def _answers_examples(task: Task, spec: ModelSpec) -> Check:
    """Answer the examples with the embedded model; each answer must be of the type ``Output``."""
    from pydantic import TypeAdapter, ValidationError

    from nlplug.models.bundle import Bundle
    from nlplug.pipelines import Pipeline

    label = f"{type(task).__name__} answers its examples"
    try:
        with Pipeline(task, Bundle.open(Path(str(spec.path))), device="cpu") as pipe:
            output: TypeAdapter[Any] = TypeAdapter(task.Output)
            for example in task.examples:
                for answer in pipe.answers([dict(example.input)], **example.options):
                    output.validate_python(answer)
    except MissingExtra as error:
        # The environment lacks it, which is no fault of the plugin.
        return Check(label, True, f"not run: {error.message}")
    except NlplugError as error:
        return Check(label, False, error.message, error.hint or "")
    except ValidationError as error:
        problem = str(error).replace("\n", " ")
        return Check(
            label, False, f"an answer is not Output: {problem}", "Correct decode or Output."
        )
    except Exception as error:
        return Check(label, False, describe(error), "Correct encode or decode of the task's model.")
    return Check(label, True, f"{len(task.examples)} on {spec.name}")


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[PluginHost, str]]:
    """A host that sees the plugins of a source folder or a wheel as if it were installed.

    Yields:
        The host, and the name of the distribution.

    Raises:
        PluginError: The path is neither, or names no plugin.
    """
    from nlplug.plugins import PluginHost

    with tempfile.TemporaryDirectory(prefix="nlplug-check-") as temporary:
        site = Path(temporary)
        if path.is_dir():
            imports = [str(path.resolve() / "src"), str(path.resolve())]
            dist = _write_metadata(path, site)
        else:
            imports = [str(site)]
            dist = _unzip(path, site)
        inventory = scan([str(site), *sys.path])
        targets = [e.target for e in inventory.entries if normalize(e.dist.name) == dist]
        if not targets:
            raise PluginError(
                f"{path} names no plugin.",
                hint="Add [project.entry-points.nlplug] to its pyproject.toml: "
                'NAME = "package.plugin"',
            )
        with _importing_from(imports, {re.split("[.:]", target)[0] for target in targets}):
            yield PluginHost(inventory), dist


@contextmanager
def _importing_from(folders: list[str], packages: set[str]) -> Iterator[None]:
    """Import these packages from these folders, even if another copy is imported already."""

    def take_out() -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.partition(".")[0] in packages]
        return {name: sys.modules.pop(name) for name in names}

    path = list(sys.path)
    modules = take_out()
    sys.path[:0] = folders
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        take_out()
        sys.modules.update(modules)


def _write_metadata(folder: Path, site: Path) -> str:
    """Write the ``dist-info`` of a source folder as an installer would, and give its name."""
    file = folder / "pyproject.toml"
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError) as error:
        raise PluginError(
            f"{folder} is not the source folder of a plugin: {file.name} cannot be read ({error}).",
            hint="Write one with: nlplug plugins new NAME",
        ) from None
    name = str(project.get("name", folder.resolve().name))
    groups: Mapping[str, Mapping[str, str]] = project.get("entry-points", {})
    info = site / f"{normalize(name).replace('-', '_')}-0.dist-info"
    info.mkdir()
    summary = str(project.get("description", "")).replace("\n", " ")
    version = project.get("version", "unreleased")
    (info / "METADATA").write_text(
        f"Name: {name}\nVersion: {version}\nSummary: {summary}\n", encoding="utf-8"
    )
    lines: list[str] = []
    for group in (GROUP, ALIASES, KINDS):
        entries = groups.get(group, {}).items()
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in entries)]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return normalize(name)


def _unzip(wheel: Path, site: Path) -> str:
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    except (OSError, zipfile.BadZipFile) as error:
        raise PluginError(
            f"{wheel} is not a wheel: {error}.", hint="Give a source folder or a .whl file."
        ) from None
    return normalize(wheel.name.split("-")[0])
