"""Which plugins are installed, from the metadata of distributions. Nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata

GROUP = "nlplug"
ALIASES = "nlplug.aliases"
KINDS = "nlplug.kinds"
TASK = "task"
"""The kind of an entry that the group ``nlplug.kinds`` does not name."""


def normalize(name: str) -> str:
    """The normalized name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True)
class Dist:
    """One installed distribution."""

    name: str
    version: str
    summary: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Entry:
    """One entry point of the group ``nlplug``.

    Attributes:
        name: Name of the entry: the task's name, for a task.
        target: ``module`` or ``module:attribute``.
        dist: The distribution that declares it.
        kind: ``task``, or what ``nlplug.kinds`` says (``commands``, ``models``, …).
    """

    name: str
    target: str
    dist: Dist
    kind: str = TASK


@dataclass(frozen=True)
class Inventory:
    """Everything that the installed metadata says about plugins.

    Attributes:
        entries: All entries, sorted by name; the first of those with the same name owns it.
        aliases: Alias → name of an entry.
    """

    entries: tuple[Entry, ...]
    aliases: dict[str, str]


def scan(path: Sequence[str] | None = None) -> Inventory:
    """Read the entry points of every distribution, once.

    Args:
        path: Folders to look for ``*.dist-info`` in; None for ``sys.path``.
    """
    entries: list[Entry] = []
    aliases: list[tuple[str, str, Dist]] = []
    for dist, groups in _distributions(path):
        kinds = dict(groups.get(KINDS, ()))
        entries += [
            Entry(name, target, dist, kinds.get(name, TASK))
            for name, target in groups.get(GROUP, ())
        ]
        aliases += [(alias, name, dist) for alias, name in groups.get(ALIASES, ())]
    entries.sort(key=lambda entry: (entry.name, _precedence(entry.name, entry.dist), entry.target))
    meanings: dict[str, str] = {}
    for alias, name, _ in sorted(aliases, key=lambda item: _precedence(item[1], item[2])):
        meanings.setdefault(alias, name)
    return Inventory(tuple(entries), meanings)


def _precedence(name: str, dist: Dist) -> tuple[bool, str]:
    """The sort key of the owners of a name: ``nlplug-<name>`` is first, then by alphabet."""
    return normalize(dist.name) != f"nlplug-{normalize(name)}", normalize(dist.name)


def _distributions(
    path: Sequence[str] | None,
) -> Iterator[tuple[Dist, dict[str, list[tuple[str, str]]]]]:
    found = metadata.distributions() if path is None else metadata.distributions(path=list(path))
    seen: set[str] = set()
    for distribution in found:
        text = _read(distribution, "entry_points.txt")
        if f"[{GROUP}" not in text:
            continue
        dist = _identify(distribution)
        # Python imports the first one on the path.
        if normalize(dist.name) not in seen:
            seen.add(normalize(dist.name))
            yield dist, parse_entry_points(text)


def parse_entry_points(text: str) -> dict[str, list[tuple[str, str]]]:
    """The sections of an ``entry_points.txt``; malformed lines are ignored."""
    groups: dict[str, list[tuple[str, str]]] = {}
    section = ""
    for line in (raw.strip() for raw in text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif line and line[0] not in "#;" and "=" in line:
            name, value = line.split("=", 1)
            groups.setdefault(section, []).append((name.strip(), value.strip()))
    return groups


def _read(distribution: metadata.Distribution, name: str) -> str:
    try:
        return distribution.read_text(name) or ""
    except (OSError, ValueError):  # unreadable, or not UTF-8: the same as absent
        return ""


def _identify(distribution: metadata.Distribution) -> Dist:
    text = _read(distribution, "METADATA") or _read(distribution, "PKG-INFO")
    headers: dict[str, str] = {}
    # The parser of e-mail headers would take most of the time of a scan.
    for line in text.splitlines():
        if not line:
            break
        key, colon, value = line.partition(":")
        if colon and not key[0].isspace():
            headers.setdefault(key.lower(), value.strip())
    return Dist(
        name=headers.get("name", "unknown"),
        version=headers.get("version", "unknown"),
        summary=headers.get("summary", ""),
    )
