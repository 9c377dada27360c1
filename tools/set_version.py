"""Copy the version of core to every other place that states it (``make version``).

The version is written only in ``core/nlplug/version.py``. Members state it in their
``pyproject.toml`` too, because installers and sdists need static metadata: a file outside of a
member's folder does not exist in its sdist. They accept one minor version of core, and so do the
examples in the documentation.

    python tools/set_version.py          copy the version
    python tools/set_version.py 0.3.0    change it first
"""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "core" / "nlplug" / "version.py"
CITATION = ROOT / "CITATION.cff"
_SOURCE_LINE = re.compile(r'^__version__ = ".*"$', re.MULTILINE)
_MEMBER_LINE = re.compile(r'^version = ".*"$', re.MULTILINE)
_CITATION_LINE = re.compile(r"^version: .*$", re.MULTILINE)
_REQUIREMENT = re.compile(r'(?<=["\'])nlplug(\[[\w,]+\])?>=[\d.]+(,<[\d.]+)?(?=["\'])')


def set_source(version: str) -> None:
    """Write a new version into core.

    Raises:
        SystemExit: It is not of the form ``1.2.3``.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise SystemExit(f"{version!r} is not a version. Write it as 0.3.0.")
    text = SOURCE.read_text(encoding="utf-8")
    SOURCE.write_text(_SOURCE_LINE.sub(f'__version__ = "{version}"', text, count=1), "utf-8")


def out_of_step() -> dict[Path, str]:
    """Files that state another version than core does, with the text that they should have."""
    core = runpy.run_path(str(SOURCE))
    version, accepted = core["__version__"], core["compatible_range"]()
    members = [ROOT, *ROOT.glob("plugins/*"), ROOT / "webui"]
    projects = [folder / "pyproject.toml" for folder in members]
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    found = {}
    for path in [*projects, *pages, CITATION]:
        text = path.read_text(encoding="utf-8")
        wanted = _REQUIREMENT.sub(lambda match: f"nlplug{match[1] or ''}{accepted}", text)
        if path == CITATION:
            wanted = _CITATION_LINE.sub(f"version: {version}", text)
        if path in projects:
            wanted = _MEMBER_LINE.sub(f'version = "{version}"', wanted, count=1)
        if wanted != text:
            found[path] = wanted
    return found


def main() -> None:
    """Change the version if one is given, then copy it."""
    if len(sys.argv) > 1:
        set_source(sys.argv[1])
    for path, text in sorted(out_of_step().items()):
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
