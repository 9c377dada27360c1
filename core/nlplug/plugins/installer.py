"""Installing and removing distributions in this environment, by pip or, without it, by uv."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
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
    """The command that installs into this environment, without its subcommand.

    Raises:
        PluginError: There is neither pip nor uv.
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
    """What to tell pip for what the user typed.

    A path, an archive, an address and a name that begins with ``nlplug`` stay as they are; any
    other name is short for ``nlplug-<name>``, unless ``exact``.
    """
    if exact:
        return argument
    if is_location(argument):
        # pip takes a word without a separator for a name, even where a folder is called so.
        word = argument not in (".", "..") and not any(sign in argument for sign in "/\\")
        return os.path.join(".", argument) if word and Path(argument).is_dir() else argument
    match = _REQUIREMENT.fullmatch(argument)
    if match is None:
        raise PluginError(
            f"{argument!r} is neither a name, nor a path, nor an address.",
            hint="Such as: ner, nlplug-ner==1.2, ./my-plugin, my_plugin-1.0-py3-none-any.whl",
        )
    if normalize(match["name"]) == "nlplug" or normalize(match["name"]).startswith(_PREFIX):
        return argument
    return _PREFIX + argument


def is_location(argument: str) -> bool:
    """Whether it is a path, an archive or an address, and not the name of a distribution."""
    return (
        "://" in argument
        or "/" in argument.split("@")[0]
        or "\\" in argument
        or argument in (".", "..")
        or argument.endswith(_ARCHIVES)
        or (Path(argument) / "pyproject.toml").is_file()
    )


def run(arguments: Sequence[str]) -> None:
    """Run the installer; its output goes to the terminal.

    Raises:
        PluginError: It failed.
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
            hint=f"What {name} printed above says why.",
        )


def uses_pip() -> bool:
    """Whether `run` takes pip (and not uv)."""
    return installer()[-2:] == ["-m", "pip"]


def distribution_of(argument: str, inventory: Inventory) -> str:
    """The installed distribution that a user means by a plugin's, alias's or distribution's name.

    Raises:
        PluginError: None is meant, or several.
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
    """The requirement that installs this distribution again: a version, or where it came from."""
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
