"""The software bill of materials (SBOM) of a model, in the format CycloneDX 1.6.

It lists the packages of the environment that trained or exported the model:
https://cyclonedx.org/docs/1.6/json/. The package cyclonedx-python-lib is in the extra ``sbom``.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.errors import BundleIncomplete, OptionError
from nlplug.extras import require
from nlplug.models.archive import time_of_files
from nlplug.models.atomic import write_text
from nlplug.models.bundle import Bundle
from nlplug.models.seal import seal

if TYPE_CHECKING:
    from nlplug.models.manifest import Manifest

SBOM_FILE = "sbom.cdx.json"


def add_sbom(bundle: Bundle) -> Path:
    """Write the SBOM of this environment into a bundle, and the manifest again.

    Run it in the environment that made the model: this is checked with the versions of the tools
    that the manifest states. The same environment and model give the same text. A signature over
    the bundle is no longer valid afterwards.

    Returns:
        The file, ``sbom.cdx.json``, which a package of the model contains too.

    Raises:
        BundleError: The bundle has no manifest, its manifest states no tools, or it is damaged.
        OptionError: This is another environment than the one that made the model.
        MissingExtra: The extra ``sbom`` is not installed.
    """
    manifest = bundle.manifest
    if manifest is None or not manifest.tools:
        raise BundleIncomplete(
            f"{bundle.path} does not state the versions of the tools that made it.",
            hint="Export the model with `nlplug export`.",
        )
    bundle.verify()
    installed = {_normal(one.name): one for one in metadata.distributions()}
    _check_environment(bundle.name, manifest, installed)
    path = bundle.path / SBOM_FILE
    write_text(path, _text(manifest, installed))
    seal(bundle.path)
    return path


def _check_environment(
    name: str, manifest: Manifest, installed: dict[str, metadata.Distribution]
) -> None:
    others = []
    for tool, version in manifest.tools.items():
        found = installed.get(_normal(tool))
        if found is None or found.version != version:
            others.append(f"{tool} {version} (here: {found.version if found else 'none'})")
    if others:
        raise OptionError(
            f"The model {name!r} was made in another environment, with {', '.join(others)}.",
            hint="Run this command in the environment that made the model.",
        )


def _text(manifest: Manifest, installed: dict[str, metadata.Distribution]) -> str:
    purpose = "Writing an SBOM"
    bom_of = require("cyclonedx.model.bom", "sbom", purpose=purpose)
    parts = require("cyclonedx.model.component", "sbom", purpose=purpose)
    output = require("cyclonedx.output.json", "sbom", purpose=purpose)
    licenses = require("cyclonedx.model.license", "sbom", purpose=purpose)
    package = require("packageurl", "sbom", purpose=purpose).PackageURL
    model = parts.Component(
        type=parts.ComponentType.MACHINE_LEARNING_MODEL,
        name=manifest.name,
        description=manifest.description or None,
        bom_ref="model",
        licenses=[licenses.DisjunctiveLicense(name=manifest.license)] if manifest.license else [],
    )
    bom = bom_of.Bom(metadata=bom_of.BomMetaData(component=model))
    for name in sorted(installed):
        one = installed[name]
        stated = one.metadata.get_all("License-Expression") or []
        purl = package("pypi", name=name, version=one.version)
        bom.components.add(
            parts.Component(
                type=parts.ComponentType.LIBRARY,
                name=name,
                version=one.version,
                purl=purl,
                bom_ref=str(purl),
                licenses=[licenses.LicenseExpression(text) for text in stated],
            )
        )
    bom.register_dependency(model, bom.components)
    # Both are random, or of this moment, by default.
    bom.metadata.timestamp = _created(manifest)
    listed = "\n".join(f"{name} {one.version}" for name, one in sorted(installed.items()))
    digest = hashlib.sha256(f"{manifest.name}\n{manifest.created}\n{listed}".encode()).digest()
    bom.serial_number = uuid.UUID(bytes=digest[:16], version=4)
    text: str = output.JsonV1Dot6(bom).output_as_string(indent=2)
    return text + "\n"


def _created(manifest: Manifest) -> datetime:
    try:
        return datetime.fromisoformat(manifest.created)
    except ValueError:  # a manifest may have any text there
        return datetime.fromtimestamp(time_of_files(), UTC)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
