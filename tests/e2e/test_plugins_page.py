"""docs/plugins.md: its blocks run, and it documents every hook as it is."""

from __future__ import annotations

import inspect
import re
import types
from pathlib import Path

import docrunner
import pytest
from environment_kit import make_environment
from plugin_zoo import install

import nlplug_webui.hookspecs
from nlplug import hookspecs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"
KINDS = {"more": "models", "greet": "commands", "hello": "routes", "about": "panels"}


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_page_runs_from_its_first_block_to_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = make_environment(tmp_path)
    monkeypatch.setattr("sys.executable", str(environment.python))
    site = next((tmp_path / "env").glob("lib/python*/site-packages"))
    work = tmp_path / "work"
    work.mkdir()

    for block in docrunner.blocks(PAGE):
        if block.not_run:
            docrunner.check(block)
            continue
        docrunner.run(block, work, environment.offline)
        if block.file and block.language == "python":
            # The modules that the page shows are installed as their package would be.
            name, module = Path(block.file).parent.name, Path(block.file).stem
            kinds = {name: KINDS[name]} if name in KINDS else {}
            install(
                site,
                f"nlplug-{name}",
                {module: block.text},
                version="0.1.0",
                plugins={name: module},
                kinds=kinds,
            )
    told = environment.nlplug("plugins", "check", *KINDS, "emotion", "pos")
    assert "All checks passed: 6 plugins." in told


def signatures(module: types.ModuleType) -> list[str]:
    """Each hook of a module as its source writes it."""
    hooks = [(n, f) for n, f in vars(module).items() if hasattr(f, "nlplug_spec")]
    return [n + str(inspect.signature(f)).replace("'", "") for n, f in hooks]


@pytest.mark.parametrize("signature", [*signatures(hookspecs), *signatures(nlplug_webui.hookspecs)])
def test_every_hookspec_is_documented_with_its_real_signature(page: str, signature: str) -> None:
    assert f"\n### `{signature}`\n" in page


def test_no_hook_is_documented_that_does_not_exist(page: str) -> None:
    known = [*signatures(hookspecs), *signatures(nlplug_webui.hookspecs)]

    assert sorted(re.findall(r"^### `(register_.*)`$", page, re.MULTILINE)) == sorted(known)


def test_the_page_tells_the_contract_that_is_in_force(page: str) -> None:
    assert f"`NLPLUG_CONTRACT = {hookspecs.CONTRACT_VERSION}`" in page
