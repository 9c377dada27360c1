"""Real installed plugins for tests: a healthy one beside five that are broken, each in its way.

They are written as a package manager would leave them in ``site-packages``: modules and
``*.dist-info`` folders. Put the folder on ``sys.path`` (or ``PYTHONPATH``) and they are installed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nlplug.testing import tiny_text_classifier

TONE = '''
"""A healthy plugin: the tone of a text, on an embedded model."""

from pathlib import Path

from nlplug import Example, ModelSpec, hookimpl
from nlplug.families.sequence_classification import SequenceClassificationTask


class ToneTask(SequenceClassificationTask):
    name = "tone"
    title = {"en": "Tone", "zh": "语气"}
    description = "Is the tone of a text good or bad?"
    default_model = "tone-tiny"
    examples = (Example({"text": "good"}), Example({"text": "dull"}, {"top_k": 2}))


@hookimpl
def register_tasks():
    return [ToneTask()]


@hookimpl
def register_models():
    folder = Path(__file__).parent / "zoo_tone_model"
    return [ModelSpec(name="tone-tiny", task="tone", path=folder)]
'''


@dataclass(frozen=True)
class Specimen:
    """One installed plugin and what is to be said about it.

    Attributes:
        name: Name of its entry point.
        dist: Its distribution.
        version: Its version.
        module: The module that the entry point names.
        source: The module's source.
        cause: A part of the cause that has to be named; empty for a healthy one.
        hint: A part of the hint that has to be given.
    """

    name: str
    dist: str
    version: str
    module: str
    source: str
    cause: str = ""
    hint: str = ""


HEALTHY = Specimen("tone", "nlplug-tone", "1.0", "zoo_tone", TONE)
BROKEN = (
    Specimen(
        "zoo-import",
        "nlplug-zoo-import",
        "1.1",
        "zoo_import",
        "import a_package_that_is_not_there\n",
        cause="No module named 'a_package_that_is_not_there'",
        hint="Install the package that has 'a_package_that_is_not_there'",
    ),
    Specimen(
        "zoo-misspelt",
        "nlplug-zoo-misspelt",
        "1.2",
        "zoo_misspelt",
        "from nlplug import hookimpl\n\n@hookimpl\ndef register_task():\n    return []\n",
        cause="it implements 'register_task', which is not a hook of nlplug",
        hint="Did you mean 'register_tasks'?",
    ),
    Specimen(
        "zoo-signature",
        "nlplug-zoo-signature",
        "1.3",
        "zoo_signature",
        "from nlplug import hookimpl\n\n@hookimpl\ndef register_tasks(config):\n    return []\n",
        cause="register_tasks(config) has a wrong signature: the hook is register_tasks()",
        hint="Write def register_tasks()",
    ),
    Specimen(
        "zoo-raising",
        "nlplug-zoo-raising",
        "1.4",
        "zoo_raising",
        "from nlplug import hookimpl\n\n@hookimpl\ndef register_tasks():\n"
        "    raise RuntimeError('no licence file')\n",
        cause="register_tasks raised RuntimeError: no licence file",
        hint="Report it to the authors of nlplug-zoo-raising",
    ),
    Specimen(
        "tone",
        "another-tone",
        "1.5",
        "zoo_other_tone",
        "from nlplug import hookimpl\n\n@hookimpl\ndef register_tasks():\n    return []\n",
        cause="the name 'tone' is taken by nlplug-tone 1.0 (zoo_tone)",
        hint="nlplug plugins uninstall another-tone",
    ),
)


def environment(site: Path, **more: str) -> dict[str, str]:
    """The variables of a process that has the plugins of ``site`` and no settings but ``more``."""
    inherited = {name: value for name, value in os.environ.items() if name[:7] != "NLPLUG_"}
    path = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return inherited | {"PYTHONPATH": os.pathsep.join(path)} | more


def install_zoo(site: Path) -> Path:
    """Install the healthy plugin and the five broken ones into ``site``."""
    for specimen in (HEALTHY, *BROKEN):
        install(
            site,
            specimen.dist,
            {specimen.module: specimen.source},
            version=specimen.version,
            plugins={specimen.name: specimen.module},
        )
    tiny_text_classifier(site / "zoo_tone_model")
    return site


def install(
    site: Path,
    dist: str,
    modules: Mapping[str, str],
    *,
    version: str = "1.0",
    plugins: Mapping[str, str],
    aliases: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
) -> None:
    """Lay out one distribution in ``site`` as an installer does.

    Args:
        site: The folder that stands for ``site-packages``; made if missing.
        dist: Name of the distribution.
        modules: Module name → source.
        version: Its version.
        plugins: Entry points of the group ``nlplug``.
        aliases: Entry points of the group ``nlplug.aliases``.
        kinds: Entry points of the group ``nlplug.kinds``.
    """
    site.mkdir(parents=True, exist_ok=True)
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source, encoding="utf-8")
    info = site / f"{dist.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\nSummary: The plugin {dist}.\n",
        encoding="utf-8",
    )
    (info / "INSTALLER").write_text("pip\n", encoding="utf-8")
    (info / "RECORD").write_text(
        "".join(f"{name}.py,,\n" for name in modules) + f"{info.name}/RECORD,,\n", encoding="utf-8"
    )
    groups = {"nlplug": plugins, "nlplug.aliases": aliases or {}, "nlplug.kinds": kinds or {}}
    lines: list[str] = []
    for group, entries in groups.items():
        if entries:
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
