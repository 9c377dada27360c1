"""Build all distributions into ``dist/`` and check them (``make release-check``).

Checks: the metadata (twine, pyroma), licence files, contents of the wheels
(check-wheel-contents), sizes, that the wheel built from an sdist has the files of the wheel built
from the checkout, and that the wheels install into an empty environment with each Python found and
every task with an embedded model answers its examples there, without the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
BIN = Path(sys.executable).parent
MEMBERS = [ROOT / "core", *sorted(ROOT.glob("plugins/*/")), ROOT / "webui"]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
RATING = 8
"""Lowest rating of pyroma. The other points are for a home page and a mail address, which the
project does not have yet."""
LARGEST = 40_000_000
"""Bytes of a distribution: models of at most 25 and 12 MB, and the code around them."""


def main() -> None:
    """Build and check; the exit code is 1 if anything is wrong."""
    shutil.rmtree(DIST, ignore_errors=True)
    faults = [fault for member in MEMBERS for fault in _build(member)]
    files = sorted(DIST.iterdir())
    faults += [f"{file.name} has {file.stat().st_size:,} bytes" for file in files if _large(file)]
    _run(sys.executable, "-m", "twine", "check", "--strict", *map(str, files))
    wheels = [str(file) for file in files if file.suffix == ".whl"]
    # W002: the models of one plugin may have the same list of special tokens.
    _run(str(BIN / "check-wheel-contents"), "--ignore", "W002", *wheels)
    for file in files:
        if file.suffix == ".gz":
            _run(str(BIN / "pyroma"), "-q", "-n", str(RATING), "-f", str(file))
    for python in filter(None, map(_python, PYTHONS)):
        faults += _install(python)
    for file in files:
        print(f"{file.stat().st_size / 1e6:8.1f} MB  {file.name}")
    if faults:
        sys.exit("\n".join(faults))
    print("All distributions are in order.")


def _large(file: Path) -> bool:
    return file.stat().st_size > LARGEST


def _build(member: Path) -> list[str]:
    """Build the wheel and the sdist of a member; return their faults."""
    build = (sys.executable, "-m", "build", "--no-isolation")
    with tempfile.TemporaryDirectory() as folder:
        _run(*build, "--wheel", "--outdir", folder, str(member))
        (direct,) = Path(folder).glob("*.whl")
        _run(*build, "--outdir", str(DIST), str(member))  # the sdist, and a wheel from it
        through_sdist = DIST / direct.name
        faults = [
            f"{direct.name}: only one of checkout and sdist has {name}"
            for name in sorted(_names(direct) ^ _names(through_sdist))
        ]
    if not any(".dist-info/licenses/LICENSE" in name for name in _names(through_sdist)):
        faults.append(f"{direct.name} has no licence")
    return faults


def _names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def _python(version: str) -> str | None:
    """The interpreter of a version, wherever uv finds one on this machine."""
    find = [sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", version]
    found = subprocess.run(find, capture_output=True, text=True, check=False)
    if found.returncode:
        print(f"Python {version}: not on this machine")
    return None if found.returncode else found.stdout.strip()


def _install(python: str) -> list[str]:
    """Install all wheels with this Python into an empty environment, and ask there."""
    uv = (sys.executable, "-m", "uv", "-q")
    with tempfile.TemporaryDirectory() as folder:
        _run(*uv, "venv", "--python", python, "--clear", folder)
        wheels = [wheel.as_uri() for wheel in sorted(DIST.glob("*.whl"))]  # core comes first
        packages = (f"nlplug[cpu] @ {wheels[0]}", *wheels[1:])
        constraints = ("-c", str(ROOT / "constraints.txt"))
        _run(*uv, "pip", "install", "--python", folder, *constraints, *packages)
        asked = subprocess.run(
            [str(Path(folder) / "bin" / "nlplug"), "plugins", "check"],
            cwd=folder,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
    said = asked.stdout + asked.stderr
    print(f"{python}: {said.strip().splitlines()[-1]}")
    return [] if asked.returncode == 0 else [f"{python}: {said}"]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
