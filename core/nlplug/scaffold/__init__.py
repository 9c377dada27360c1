"""``nlplug plugins new``: write a plugin package that works before anything in it is edited.

A family is a folder of templates beside this file. In file names and texts
``{{name}}``, ``{{module}}``, ``{{class}}``, ``{{title}}`` and ``{{accepted}}`` are filled in; the
folder ``model`` is the tiny model that answers until the author trains one.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from nlplug.errors import OptionError, PluginError
from nlplug.plugins.contract import NAME
from nlplug.version import compatible_range

_TEMPLATES = Path(__file__).parent
_FIELD = re.compile(r"\{\{(\w+)\}\}")
_SUFFIX = ".tmpl"
_MODEL = "model"


def families() -> list[str]:
    """Names of the families that there is a template for."""
    return sorted(path.name for path in _TEMPLATES.iterdir() if (path / "package").is_dir())


def write_package(name: str, directory: Path, *, family: str = "sequence-classification") -> Path:
    """Write the package ``nlplug-<name>`` and give its folder.

    Args:
        name: Name of the task: lower-case letters, digits, single hyphens.
        directory: Where to make the folder; made if missing.
        family: Which kind of task it is.

    Raises:
        OptionError: The name or the family is none.
        PluginError: The folder is there already.
    """
    if not NAME.fullmatch(name):
        raise OptionError(
            f"{name!r} is no task name.",
            hint="Use lower-case letters, digits and single hyphens, such as 'reading-level'.",
        )
    if family not in families():
        raise OptionError(
            f"There is no template for the family {family!r}.",
            hint=f"There is one for: {', '.join(families())}.",
        )
    target = directory / f"nlplug-{name}"
    if target.exists():
        raise PluginError(f"{target} exists already.", hint="Move it away, or name another task.")
    directory.mkdir(parents=True, exist_ok=True)
    words = name.split("-")
    fields = {
        "name": name,
        "module": f"nlplug_{name.replace('-', '_')}",
        "class": "".join(word.capitalize() for word in words),
        "title": " ".join(words).capitalize(),
        "accepted": compatible_range(),
    }
    with tempfile.TemporaryDirectory(dir=directory, prefix=f".{target.name}.") as temporary:
        draft = Path(temporary) / target.name
        _render(_TEMPLATES / family, draft, fields)
        _write_model(_TEMPLATES / family / _MODEL, draft / fields["module"] / _MODEL, name)
        draft.rename(target)
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
    """The template's tiny model as a bundle of the new task."""
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
                description="Counts a few dozen words; stands in until a model is trained.",
            )
        )
