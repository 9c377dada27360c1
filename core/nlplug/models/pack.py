"""A bundle as a Python package: ``pip install`` it, and its name works as ``model=``.

A wheel is a zip file with a list of digests (the binary distribution format of the Python
packaging user guide), so that it is written here without any build tool.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from nlplug.errors import GateRefused, OptionError
from nlplug.models.archive import Content, write_tar, write_wheel
from nlplug.models.atomic import Staged
from nlplug.models.bundle import Bundle
from nlplug.models.layout import CARD_FILE, external_data_of, run_together, side_files
from nlplug.models.manifest import MANIFEST_FILE, SIGNATURE_FILE, FileRecord, Manifest
from nlplug.models.package_text import (
    PackConfig,
    core_metadata,
    module,
    pyproject,
    readme,
    wheel_files,
)
from nlplug.models.signature import weights_outside
from nlplug.models.signing import sign
from nlplug.models.verify import files_of, record_of

__all__ = ["PackConfig", "pack_folder", "pack_sdist", "pack_wheel"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?")
_CARDS = (CARD_FILE, "LICENSE", "LICENSE.txt", "NOTICE")


def pack_wheel(bundle: Bundle, output: Path, config: PackConfig) -> Path:
    """Write an installable wheel into the folder ``output``.

    The same bundle and settings give the same bytes, if they are not signed. The time of the files
    is ``SOURCE_DATE_EPOCH``, else 1 January 1980.

    Returns:
        The wheel, ``NAME-VERSION-py3-none-any.whl``. With a key, ``model.sig`` in the bundle is the
        signature over its files, and a file ``.whl.sig`` next to the wheel that over the wheel.

    Raises:
        OptionError: A name, version, task, precision or key that cannot be.
        GateRefused: A precision did not pass the quality gate, and the settings do not force it.
        BundleError: The bundle is damaged.
        MissingExtra: The key needs the extra ``sign``.
    """
    package, manifest = _package(bundle, config)
    info = f"{config.dist}-{config.version}.dist-info"
    for name, text in wheel_files(bundle, manifest, config).items():
        package[f"{info}/{name}"] = text.encode()
    wheel = output / f"{config.dist}-{config.version}-py3-none-any.whl"
    output.mkdir(parents=True, exist_ok=True)
    with Staged(wheel) as staged:
        write_wheel(staged.path, package, record=f"{info}/RECORD")
        staged.commit()
    _sign(wheel, config)
    return wheel


def pack_sdist(bundle: Bundle, output: Path, config: PackConfig) -> Path:
    """Write a source distribution into the folder ``output``; as `pack_wheel` otherwise.

    Returns:
        The file, ``NAME-VERSION.tar.gz``.
    """
    package, manifest = _package(bundle, config)
    package |= _sources(bundle, manifest, config)
    package["PKG-INFO"] = core_metadata(bundle, manifest, config).encode()
    root = f"{config.dist}-{config.version}"
    sdist = output / f"{root}.tar.gz"
    output.mkdir(parents=True, exist_ok=True)
    with Staged(sdist) as staged:
        write_tar(staged.path, {f"{root}/{name}": package[name] for name in sorted(package)})
        staged.commit()
    _sign(sdist, config)
    return sdist


def pack_folder(bundle: Bundle, output: Path, config: PackConfig) -> Path:
    """Write the sources of the package as a new folder in ``output``; as `pack_wheel` otherwise.

    Returns:
        The folder, ``output/NAME``, with a ``pyproject.toml``.

    Raises:
        OptionError: The folder exists, or as for `pack_wheel`.
    """
    package, manifest = _package(bundle, config)
    package |= _sources(bundle, manifest, config)
    target = output / config.name
    if target.exists():
        raise OptionError(f"{target} exists already.", hint="Remove it, or name another folder.")
    output.mkdir(parents=True, exist_ok=True)
    with Staged(target, folder=True) as staged:
        _write(staged.path, package)
        staged.commit(replace=False)
    return target


def _write(folder: Path, files: Mapping[str, Content]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copyfile(content, path)


def _sources(bundle: Bundle, manifest: Manifest, config: PackConfig) -> dict[str, Content]:
    return {
        "pyproject.toml": pyproject(manifest, config).encode(),
        "README.md": readme(bundle, manifest, config).encode(),
    }


def _package(bundle: Bundle, config: PackConfig) -> tuple[dict[str, Content], Manifest]:
    """Every file of the module by its path in the package, and the packed bundle's manifest."""
    _check(config)
    bundle.verify()
    manifest = _manifest(bundle, config)
    if not config.force:
        check_gate(bundle.name, manifest, manifest.precisions)
    packed: dict[str, Content] = {name: bundle.path / name for name in manifest.files}
    packed[MANIFEST_FILE] = manifest.to_json().encode()
    if config.key is not None:
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), packed)
            packed[SIGNATURE_FILE] = sign(Path(folder), config.key).read_bytes()
    package: dict[str, Content] = {
        f"{config.module}/__init__.py": module(manifest, config).encode()
    }
    for name, content in packed.items():
        package[f"{config.module}/bundle/{name}"] = content
    return package, manifest


def _sign(archive: Path, config: PackConfig) -> None:
    """Write the signature over an archive next to it; without a key, remove an earlier one."""
    if config.key is not None:
        sign(archive, config.key)
    else:
        archive.with_name(f"{archive.name}.sig").unlink(missing_ok=True)


def check_gate(name: str, manifest: Manifest | None, precisions: Iterable[str]) -> None:
    """Refuse precisions that did not pass the quality gate.

    A precision has passed if its record holds the loss that the gate measured; `nlplug export` does
    not list one that the gate refused, and `nlplug models seal` drops the loss of a changed graph.

    Raises:
        GateRefused: One did not; the message names it.
    """
    records = manifest.precisions if manifest else {}
    failed = [one for one in precisions if one not in records or "loss" not in records[one].metrics]
    if failed:
        raise GateRefused(
            f"The model {name!r} has no result of the quality gate for {', '.join(failed)}.",
            hint="Export it with `nlplug export`, choose precisions that passed with --precision, "
            "or give --force.",
        )


def _check(config: PackConfig) -> None:
    if not _NAME.fullmatch(config.name):
        raise OptionError(
            f"{config.name!r} is not a name for a packaged model.",
            hint="Use lower-case letters, digits, '-', '_' and '.', such as my-model.",
        )
    if not _VERSION.fullmatch(config.version):
        raise OptionError(
            f"{config.version!r} is not a version of a Python package.", hint="Such as 0.1.0."
        )
    # pip would replace a package of the same name, such as nlplug itself.
    installed = metadata.distributions(name=config.name)
    if any(config.module not in {point.value for point in one.entry_points} for one in installed):
        raise OptionError(
            f"{config.name!r} is the name of an installed package that is not a model.",
            hint="Choose another name: pip would replace that package with the model.",
        )


def _manifest(bundle: Bundle, config: PackConfig) -> Manifest:
    """The bundle's manifest with the new name and settings, and only with the packed files."""
    own = bundle.manifest or Manifest(
        name=config.name,
        max_length=bundle.max_length,
        labels=bundle.repository.labels,
        created="",
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
        data = {name for graph in graphs for name in external_data_of(graph, there)}
        needed = [name for one in kept for name in bundle.record(one).by_graph.values()]
        data |= weights_outside(needed, bundle.path) & there
        names = {*graphs, *data, *side_files(there), *(there & set(_CARDS))}
    run = run_together(bundle.graphs)
    for graph, files in bundle.graphs.items():
        for precision, path in files.items():
            if precision not in kept or (run and graph not in run):
                name = path.relative_to(bundle.path).as_posix()
                names -= {name, *external_data_of(name, names)}
    known = bundle.manifest.files if bundle.manifest else {}
    return {name: known.get(name) or record_of(bundle.path / name) for name in sorted(names)}
