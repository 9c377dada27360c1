"""The tests with other versions of Python and of the dependencies: ``make nox``.

Sessions: ``newest`` (no constraints) and ``lowest`` (the lowest versions that the members declare),
for each Python that is installed. Both run the tests that need neither a browser nor training.
"""

from __future__ import annotations

from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PLUGINS = [str(path.parent) for path in sorted(Path("plugins").glob("*/pyproject.toml"))]
MEMBERS = ["core[cpu,server,data,report,chat]", *PLUGINS, "webui"]
# Tests that import PyTorch or transformers leave themselves out where these are not installed.
TESTS = ["--group", "dev", "aiohttp>=3.9", "onnx>=1.17", "pip>=25.1", "regex>=2024.5"]
FOLDERS = ["tests/core", "tests/plugins", "tests/e2e", "tests/webui"]

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = False


def _test(session: nox.Session, *resolution: str) -> None:
    editable = [word for member in MEMBERS for word in ("-e", member)]
    session.install(*resolution, *editable, *TESTS)
    marks = "not browser and not install and not train and not gpu"
    session.run("pytest", "-q", "-m", marks, *FOLDERS, *session.posargs)


@nox.session(python=PYTHONS)
def newest(session: nox.Session) -> None:
    """The newest versions that the members allow."""
    _test(session)


@nox.session(python=PYTHONS[:1])
def lowest(session: nox.Session) -> None:
    """The lowest versions that the members declare."""
    _test(session, "--resolution", "lowest-direct")
