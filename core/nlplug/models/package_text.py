"""The text files of a packaged model: its module, its metadata and its ``pyproject.toml``."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from nlplug.hookspecs import CONTRACT_VERSION
from nlplug.models.bundle import Bundle
from nlplug.models.inventory import size_of
from nlplug.models.manifest import Manifest
from nlplug.version import __version__


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
        force: Pack also precisions that did not pass the quality gate.
        key: File of the private key that signs the package; None: it is not signed.
    """

    name: str
    version: str = "0.1.0"
    task: str | None = None
    license: str | None = None
    description: str | None = None
    precisions: Collection[str] = ()
    force: bool = False
    key: Path | None = None

    @property
    def module(self) -> str:
        """Name of the package's module."""
        return "nlplug_model_" + re.sub(r"[^a-z0-9]+", "_", self.name)

    @property
    def dist(self) -> str:
        """The package's name in file names."""
        return re.sub(r"[-_.]+", "_", self.name)


def module(manifest: Manifest, config: PackConfig) -> str:
    """The module that registers the model."""
    spec = {
        "name": config.name,
        "task": manifest.task,
        "description": manifest.description,
        "license": manifest.license,
        "size": manifest.size,
    }
    lines = "".join(f"            {key}={value!r},\n" for key, value in spec.items())
    return _MODULE.format(contract=CONTRACT_VERSION, name=config.name, lines=lines)


def wheel_files(bundle: Bundle, manifest: Manifest, config: PackConfig) -> dict[str, str]:
    """The files of the folder ``dist-info`` of a wheel, without ``RECORD``."""
    return {
        "METADATA": core_metadata(bundle, manifest, config),
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: nlplug {__version__}\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": f"[nlplug]\n{config.name} = {config.module}\n\n"
        f"[nlplug.kinds]\n{config.name} = models\n",
    }


def _requirements(manifest: Manifest) -> list[str]:
    """This nlplug, and the package that offers the task where one is installed."""
    found = [f"nlplug>={__version__}"]
    for entry in metadata.entry_points(group="nlplug", name=manifest.task):
        if entry.dist is not None and entry.dist.name not in found:
            found.append(entry.dist.name)
    return found


def core_metadata(bundle: Bundle, manifest: Manifest, config: PackConfig) -> str:
    """The file ``METADATA`` of the wheel, which is the file ``PKG-INFO`` of the sdist."""
    head = ["Metadata-Version: 2.1", f"Name: {config.name}", f"Version: {config.version}"]
    head.append(f"Summary: {_one_line(_summary(manifest))}")
    if manifest.license:
        head.append(f"License: {_one_line(manifest.license)}")
    head.append("Requires-Python: >=3.11")
    head += [f"Requires-Dist: {requirement}" for requirement in _requirements(manifest)]
    head.append("Description-Content-Type: text/markdown")
    return "\n".join(head) + "\n\n" + readme(bundle, manifest, config)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _summary(manifest: Manifest) -> str:
    return manifest.description or f"A model for the nlplug task {manifest.task}."


def readme(bundle: Bundle, manifest: Manifest, config: PackConfig) -> str:
    """The card of the model, else a short page."""
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


def pyproject(manifest: Manifest, config: PackConfig) -> str:
    """The file ``pyproject.toml`` of the sources."""
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
