"""``nlplug plugins new``: write a plugin package that works before it is edited.

Each family has a folder of templates beside this file. In file names and texts the fields
``{{name}}``, ``{{module}}``, ``{{class}}``, ``{{title}}``, ``{{accepted}}`` and ``{{contract}}``
are replaced. The folder ``model`` holds a tiny model, which the author replaces with a trained one.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from nlplug.errors import OptionError, PluginError
from nlplug.hookspecs import CONTRACT_VERSION
from nlplug.models.atomic import Staged
from nlplug.plugins.contract import NAME
from nlplug.version import compatible_range

_TEMPLATES = Path(__file__).parent
_FIELD = re.compile(r"\{\{(\w+)\}\}")
_SUFFIX = ".tmpl"
_USUAL = "sequence-classification"
_MODEL = "model"


def families() -> list[str]:
    """Names of the families that have a template."""
    return sorted(path.name for path in _TEMPLATES.iterdir() if (path / "package").is_dir())


def write_package(name: str, directory: Path, *, family: str | None = None) -> Path:
    """Write the package ``nlplug-<name>`` and return its folder.

    Args:
        name: Name of the task: lower-case letters, digits, single hyphens.
        directory: The folder to write it into; made if missing.
        family: The family of the task; None: the one of tasks that label whole texts.

    Raises:
        OptionError: The name is not valid, or the family has no template.
        PluginError: The package's folder exists already.
    """
    if not NAME.fullmatch(name):
        raise OptionError(
            f"{name!r} is not a task name.",
            hint="Use lower-case letters, digits and single hyphens, such as 'reading-level'.",
        )
    family = family or _USUAL
    if family not in families():
        raise OptionError(
            f"The family {family!r} has no template.",
            hint=f"Families with a template: {', '.join(families())}.",
        )
    target = directory / f"nlplug-{name}"
    if target.exists():
        raise PluginError(f"{target} exists already.", hint="Move it, or use another name.")
    directory.mkdir(parents=True, exist_ok=True)
    words = name.split("-")
    fields = {
        "name": name,
        "module": f"nlplug_{name.replace('-', '_')}",
        "class": "".join(word.capitalize() for word in words),
        "title": " ".join(words).capitalize(),
        "accepted": compatible_range(),
        "contract": str(CONTRACT_VERSION),
    }
    with Staged(target, folder=True) as staged:
        _render(_TEMPLATES / family, staged.path, fields)
        _write_model(_TEMPLATES / family / _MODEL, staged.path / fields["module"] / _MODEL, name)
        staged.commit(replace=False)
    return target


def _render(templates: Path, draft: Path, fields: dict[str, str]) -> None:
    for source in sorted(templates.rglob(f"*{_SUFFIX}")):
        relative = source.relative_to(templates)
        parts = [fields["module"] if part == "package" else part for part in relative.parts]
        target = draft.joinpath(*(_fill(part, fields) for part in parts))
        target = target.with_name(target.name.removesuffix(_SUFFIX))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_fill(source.read_text(encoding="utf-8"), fields), encoding="utf-8")


def _fill(text: str, fields: dict[str, str]) -> str:
    return _FIELD.sub(lambda match: fields[match[1]], text)


def _write_model(source: Path, target: Path, name: str) -> None:
    """Write the template's tiny model as a bundle of the new task."""
    from nlplug.models.bundle import Bundle
    from nlplug.models.manifest import Manifest, PrecisionRecord
    from nlplug.models.writer import BundleWriter

    original = Bundle.open(source)
    with BundleWriter(target) as writer:
        shutil.copytree(source, writer.folder, dirs_exist_ok=True)
        writer.commit(
            Manifest(
                name=f"{name}-model",
                task=name,
                hub_task="text-classification",
                labels=original.labels,
                languages=["en"],
                max_length=original.max_length,
                precisions={
                    precision: PrecisionRecord(file=file.relative_to(source).as_posix())
                    for precision, file in original.precisions.items()
                },
                license="CC0-1.0",
                description="Counts a few dozen words. Replace it with a trained model.",
            )
        )
