"""A bundle as a Python package: ``pip install`` it, and its name works as ``model=``.

A wheel is a zip file with a list of digests (the binary distribution format of the Python
packaging user guide), so that it is written here without any build tool.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from nlplug.errors import OptionError
from nlplug.hookspecs import CONTRACT_VERSION
from nlplug.models.atomic import Staged
from nlplug.models.bundle import Bundle
from nlplug.models.inventory import size_of
from nlplug.models.layout import external_data_of, run_together, side_files
from nlplug.models.manifest import MANIFEST_FILE, FileRecord, Manifest
from nlplug.models.verify import files_of, record_of
from nlplug.version import __version__

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of zip files; the same bundle gives the same wheel
_CARDS = ("README.md", "LICENSE", "LICENSE.txt", "NOTICE")

Content = Path | bytes


@dataclass(frozen=True)
class PackConfig:
    """How a bundle is packed.

    Attributes:
        name: Name for ``model=`` and of the package.
        version: Version of the package.
        task: The nlplug task; None to take the manifest's.
        license: None to take the manifest's.
        description: One line; None to take the manifest's.
        precisions: Only these; empty for all.
    """

    name: str
    version: str = "0.1.0"
    task: str | None = None
    license: str | None = None
    description: str | None = None
    precisions: Collection[str] = ()

    @property
    def module(self) -> str:
        """Name of the package's module."""
        return "nlplug_model_" + re.sub(r"[^a-z0-9]+", "_", self.name)

    @property
    def dist(self) -> str:
        """The package's name in file names."""
        return re.sub(r"[-_.]+", "_", self.name)


def pack_wheel(bundle: Bundle, output: Path, config: PackConfig) -> Path:
    """Write an installable wheel into the folder ``output``.

    Returns:
        The wheel, ``NAME-VERSION-py3-none-any.whl``.

    Raises:
        OptionError: A name, version, task or precision that cannot be.
        BundleError: The bundle is damaged.
    """
    package, manifest = _package(bundle, config)
    info = f"{config.dist}-{config.version}.dist-info"
    package[f"{info}/METADATA"] = _metadata(bundle, manifest, config).encode()
    package[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: nlplug {__version__}\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n"
    ).encode()
    package[f"{info}/entry_points.txt"] = (
        f"[nlplug]\n{config.name} = {config.module}\n\n[nlplug.kinds]\n{config.name} = models\n"
    ).encode()
    output.mkdir(parents=True, exist_ok=True)
    wheel = output / f"{config.dist}-{config.version}-py3-none-any.whl"
    with Staged(wheel) as staged:
        _write_zip(staged.path, package, record=f"{info}/RECORD")
        staged.commit()
    return wheel


def pack_folder(bundle: Bundle, output: Path, config: PackConfig) -> Path:
    """Write the sources of the package, with a ``pyproject.toml``, as a new folder in ``output``.

    Returns:
        The folder, ``output/NAME``.

    Raises:
        OptionError: A name, version, task or precision that cannot be; the folder exists.
        BundleError: The bundle is damaged.
    """
    package, manifest = _package(bundle, config)
    target = output / config.name
    if target.exists():
        raise OptionError(f"{target} exists already.", hint="Remove it, or name another folder.")
    package["pyproject.toml"] = _pyproject(manifest, config).encode()
    package["README.md"] = _readme(bundle, manifest, config).encode()
    output.mkdir(parents=True, exist_ok=True)
    with Staged(target, folder=True) as staged:
        for name, content in package.items():
            path = staged.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                shutil.copyfile(content, path)
        staged.commit(replace=False)
    return target


def _package(bundle: Bundle, config: PackConfig) -> tuple[dict[str, Content], Manifest]:
    """Every file of the module by its path in the package, and the packed bundle's manifest."""
    _check(config)
    bundle.verify()
    manifest = _manifest(bundle, config)
    spec = {
        "name": config.name,
        "task": manifest.task,
        "description": manifest.description,
        "license": manifest.license,
        "size": manifest.size,
    }
    lines = "".join(f"            {key}={value!r},\n" for key, value in spec.items())
    package: dict[str, Content] = {
        f"{config.module}/__init__.py": _MODULE.format(
            contract=CONTRACT_VERSION, name=config.name, lines=lines
        ).encode()
    }
    for name in manifest.files:
        package[f"{config.module}/bundle/{name}"] = bundle.path / name
    package[f"{config.module}/bundle/{MANIFEST_FILE}"] = manifest.to_json().encode()
    return package, manifest


def _check(config: PackConfig) -> None:
    if not _NAME.fullmatch(config.name):
        raise OptionError(
            f"{config.name!r} is no name for a packaged model.",
            hint="Use lower-case letters, digits, '-', '_' and '.', such as my-model.",
        )
    if not _VERSION.fullmatch(config.version):
        raise OptionError(
            f"{config.version!r} is no version of a Python package.", hint="Such as 0.1.0."
        )


def _manifest(bundle: Bundle, config: PackConfig) -> Manifest:
    """The bundle's manifest with the new name and settings, and only with the packed files."""
    own = bundle.manifest or Manifest(
        name=config.name, max_length=bundle.max_length, labels=bundle.repository.labels
    )
    task = config.task or own.task
    if not task:
        raise OptionError(
            f"The model {bundle.name!r} does not state its task.",
            hint="Give the task: --task sentiment",
        )
    kept = set(config.precisions) or set(bundle.precisions)
    for precision in kept:
        bundle.onnx_file(precision)
    records = _files(bundle, kept)
    update = {
        "name": config.name,
        "task": task,
        "license": own.license if config.license is None else config.license,
        "description": own.description if config.description is None else config.description,
        "files": records,
        "precisions": {
            precision: bundle.record(precision)
            for precision in bundle.precisions
            if precision in kept
        },
    }
    return Manifest.model_validate({**dict(own), **update})


def _files(bundle: Bundle, kept: set[str]) -> dict[str, FileRecord]:
    if bundle.manifest is not None:
        names = set(bundle.manifest.files)
    else:
        there = {path.relative_to(bundle.path).as_posix() for path in files_of(bundle.path)}
        graphs = [
            path.relative_to(bundle.path).as_posix()
            for files in bundle.graphs.values()
            for path in files.values()
        ]
        data = [name for graph in graphs for name in external_data_of(graph, there)]
        names = {*graphs, *data, *side_files(there), *(there & set(_CARDS))}
    run = run_together(bundle.graphs)
    for graph, files in bundle.graphs.items():
        for precision, path in files.items():
            if precision not in kept or (run and graph not in run):
                name = path.relative_to(bundle.path).as_posix()
                names -= {name, *external_data_of(name, names)}
    known = bundle.manifest.files if bundle.manifest else {}
    return {name: known.get(name) or record_of(bundle.path / name) for name in sorted(names)}


def _requirements(manifest: Manifest) -> list[str]:
    """This nlplug, and the package that offers the task where one is installed."""
    found = [f"nlplug>={__version__}"]
    for entry in metadata.entry_points(group="nlplug", name=manifest.task):
        if entry.dist is not None and entry.dist.name not in found:
            found.append(entry.dist.name)
    return found


def _metadata(bundle: Bundle, manifest: Manifest, config: PackConfig) -> str:
    head = ["Metadata-Version: 2.1", f"Name: {config.name}", f"Version: {config.version}"]
    head.append(f"Summary: {_one_line(_summary(manifest))}")
    if manifest.license:
        head.append(f"License: {_one_line(manifest.license)}")
    head.append("Requires-Python: >=3.11")
    head += [f"Requires-Dist: {requirement}" for requirement in _requirements(manifest)]
    head.append("Description-Content-Type: text/markdown")
    return "\n".join(head) + "\n\n" + _readme(bundle, manifest, config)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _summary(manifest: Manifest) -> str:
    return manifest.description or f"A model for the nlplug task {manifest.task}."


def _readme(bundle: Bundle, manifest: Manifest, config: PackConfig) -> str:
    card = bundle.path / "README.md"
    if card.is_file():
        return card.read_text(encoding="utf-8")
    return _README.format(
        name=config.name,
        summary=_summary(manifest),
        task=manifest.task,
        precisions=", ".join(sorted(manifest.precisions)),
        license=manifest.license or "not stated",
        megabytes=size_of(bundle) / 1e6,
    )


def _pyproject(manifest: Manifest, config: PackConfig) -> str:
    quoted = {
        "name": config.name,
        "version": config.version,
        "description": _one_line(_summary(manifest)),
        "module": config.module,
    }
    text = {key: _toml(value) for key, value in quoted.items()}
    requirements = ", ".join(_toml(one) for one in _requirements(manifest))
    licence = f"license = {{ text = {_toml(manifest.license)} }}\n" if manifest.license else ""
    return _PYPROJECT.format(**text, requirements=requirements, licence=licence)


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def _write_zip(path: Path, package: Mapping[str, Content], *, record: str) -> None:
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in package.items():
            digest, size = _add(archive, name, content)
            lines.append(f"{name},sha256={digest},{size}\n")
        lines.append(f"{record},,\n")
        _add(archive, record, "".join(lines).encode())


def _add(archive: zipfile.ZipFile, name: str, content: Content) -> tuple[str, int]:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    entry.file_size = size
    digest = hashlib.sha256()
    with archive.open(entry, "w") as target:
        if isinstance(content, bytes):
            digest.update(content)
            target.write(content)
        else:
            with content.open("rb") as source:
                while block := source.read(1 << 20):
                    digest.update(block)
                    target.write(block)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode(), size


_MODULE = '''"""The model {name}, packed by nlplug."""

from __future__ import annotations

from pathlib import Path

from nlplug import ModelSpec, hookimpl

NLPLUG_CONTRACT = {contract}


@hookimpl
def register_models() -> list[ModelSpec]:
    """The model of this package."""
    return [
        ModelSpec(
{lines}            path=Path(__file__).parent / "bundle",
        )
    ]
'''

_README = """# {name}

{summary}

```python
from nlplug import pipeline

run = pipeline("{task}", model="{name}")
```

Precisions: {precisions}. Size: {megabytes:.1f} MB. Licence: {license}.
"""

_PYPROJECT = """[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = {name}
version = {version}
description = {description}
readme = "README.md"
requires-python = ">=3.11"
{licence}dependencies = [{requirements}]

[project.entry-points.nlplug]
{name} = {module}

[project.entry-points."nlplug.kinds"]
{name} = "models"

[tool.hatch.build.targets.wheel]
packages = [{module}]
"""
