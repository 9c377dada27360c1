"""Install and remove distributions in this environment with pip; with uv if there is no pip."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from nlplug.errors import PluginError
from nlplug.plugins.failures import nearest
from nlplug.plugins.metadata import Inventory, normalize

_PREFIX = "nlplug-"
_ARCHIVES = (".whl", ".tar.gz", ".zip")
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?P<rest>.*)", re.DOTALL)


def installer() -> list[str]:
    """The command of the installer, without a subcommand.

    Raises:
        PluginError: Neither pip nor uv is available.
    """
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "pip"]
    raise PluginError(
        f"There is no pip in the environment of {sys.executable}, and no uv on the PATH.",
        hint=f"{sys.executable} -m ensurepip --upgrade",
    )


def requirement(argument: str, *, exact: bool = False) -> str:
    """The requirement for pip that an argument means.

    A path, an archive, a URL and a name that begins with ``nlplug`` are returned as given. Any
    other name means ``nlplug-<name>``, unless ``exact``.

    Raises:
        PluginError: The argument is none of these.
    """
    if exact:
        return argument
    if is_location(argument):
        # pip reads a word without a separator as a name, even if a folder has that name.
        word = argument not in (".", "..") and not any(sign in argument for sign in "/\\")
        return os.path.join(".", argument) if word and Path(argument).is_dir() else argument
    match = _REQUIREMENT.fullmatch(argument)
    if match is None:
        raise PluginError(
            f"{argument!r} is not a name, a path or a URL.",
            hint="Examples: ner, nlplug-ner==1.2, ./my-plugin, my_plugin-1.0-py3-none-any.whl",
        )
    if normalize(match["name"]) == "nlplug" or normalize(match["name"]).startswith(_PREFIX):
        return argument
    return _PREFIX + argument


def is_location(argument: str) -> bool:
    """Whether the argument is a path, an archive or a URL, and not a name."""
    return (
        "://" in argument
        or "/" in argument.split("@")[0]
        or "\\" in argument
        or argument in (".", "..")
        or argument.endswith(_ARCHIVES)
        or (Path(argument) / "pyproject.toml").is_file()
    )


def remove_leftovers(requirements: Sequence[str]) -> list[str]:
    """Remove the records of installations that were killed; returns the names.

    A killed pip leaves the metadata of a distribution without the file ``INSTALLER``, which it
    writes after all others. It would take the distribution as installed and do nothing.

    Args:
        requirements: What is to be installed now. Besides these, only distributions whose names
            begin with ``nlplug`` are looked at: other tools may write no such file.
    """
    wanted = {normalize(name) for name in map(name_of, requirements) if name}
    removed = []
    for record in sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info")):
        name = normalize(record.name.split("-")[0])
        ours = name in wanted or name.startswith("nlplug")
        if ours and not (record / "INSTALLER").exists():
            shutil.rmtree(record)
            removed.append(name)
    return removed


def name_of(requirement: str) -> str:
    """The name of the distribution, as far as it can be told without the installer."""
    path = Path(requirement)
    if path.is_dir():
        try:
            project = tomllib.loads((path / "pyproject.toml").read_text("utf-8"))["project"]
        except (OSError, ValueError, KeyError):
            return ""
        return str(project.get("name", "")) if isinstance(project, dict) else ""
    if requirement.endswith(_ARCHIVES):
        return path.name.split("-")[0]
    match = _REQUIREMENT.match(requirement)
    return match["name"] if match and not is_location(requirement) else ""


def run(arguments: Sequence[str]) -> None:
    """Run the installer; its output goes to the terminal.

    Raises:
        PluginError: The installer failed.
    """
    command = installer()
    target = ["--python", sys.executable] if command[-2:] != ["-m", "pip"] else []
    subcommand, *rest = arguments
    done = subprocess.run([*command, subcommand, *target, *rest], check=False)
    importlib.invalidate_caches()
    if done.returncode != 0:
        name = "pip" if not target else "uv"
        raise PluginError(
            f"{name} {subcommand} ended with exit code {done.returncode}.",
            hint=f"The output of {name} above gives the reason.",
        )


def check_removed(names: Sequence[str]) -> None:
    """Check that distributions are not installed any more.

    The installers do not touch what is outside of the environment, and end without an error.

    Raises:
        PluginError: One is still installed.
    """
    for name in names:
        try:
            left = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        folder = Path(str(left.locate_file("")))
        inside = folder.resolve().is_relative_to(Path(sys.prefix).resolve())
        place = "" if inside else f", outside the environment {sys.prefix}"
        raise PluginError(
            f"{name} {left.version} is still installed: it is in {folder}{place}.",
            hint=_how_to_remove(name, folder, inside),
        )


def _how_to_remove(name: str, folder: Path, inside: bool) -> str:
    if inside:
        return f"If it was a second copy, run this again: nlplug plugins uninstall {name}"
    listed = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if any(one and Path(one).resolve() == folder.resolve() for one in listed):
        return f"Remove {folder} from PYTHONPATH."
    owner = Path(sys.base_prefix) / ("python.exe" if os.name == "nt" else "bin/python3")
    return (
        "Remove it with the Python that it was installed with, such as: "
        f"{owner} -m pip uninstall {name}"
    )


def uses_pip() -> bool:
    """Whether `run` uses pip, and not uv."""
    return installer()[-2:] == ["-m", "pip"]


def distribution_of(argument: str, inventory: Inventory) -> str:
    """The installed distribution of a plugin, an alias or a distribution's name.

    Raises:
        PluginError: No distribution has this name, or several have.
    """
    entry = inventory.aliases.get(argument, argument)
    owners = sorted({found.dist.name for found in inventory.entries if found.name == entry})
    dists = sorted({found.dist.name for found in inventory.entries})
    wanted = {normalize(argument), _PREFIX + normalize(argument)}
    named = [dist for dist in dists if normalize(dist) in wanted]
    if len(owners) > 1 and not any(normalize(dist) == normalize(argument) for dist in named):
        raise PluginError(
            f"Several distributions have a plugin {argument!r}: {', '.join(owners)}.",
            hint="Name the distribution.",
        )
    if found := named or owners:
        return found[0]
    raise PluginError(
        f"No plugin {argument!r} is installed.",
        hint=f"{nearest(argument, [*dists, *(entry.name for entry in inventory.entries)])}"
        f"Installed: {', '.join(dists) or 'none'}.",
    )


def pinned(dist: str) -> str:
    """The requirement that installs this distribution again: its version, or its source."""
    distribution = metadata.distribution(dist)
    name = f"{distribution.metadata['Name']}"
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "null")
    except ValueError:
        origin = None
    if not isinstance(origin, dict) or "url" not in origin:
        return f"{name}=={distribution.version}"
    url = str(origin["url"])
    if (origin.get("dir_info") or {}).get("editable"):
        return f"-e {unquote(url.removeprefix('file://'))}"
    if vcs := origin.get("vcs_info"):
        url = f"{vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', '')}"
    if sub := origin.get("subdirectory"):
        url += f"#subdirectory={sub}"
    return f"{name} @ {url}"
