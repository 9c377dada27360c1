"""Every hook: what it is for, what it gets, and what becomes of its answer."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from fastapi import FastAPI
from fastapi.testclient import TestClient
from plugin_zoo import install

from nlplug import PluginHost, hookspecs
from nlplug.cli.main import main

from .conftest import PREAMBLE, Write

HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("register_"))


def test_register_tasks_offers_tasks(write: Write) -> None:
    host = write("\n@hookimpl\ndef register_tasks():\n    yield Plain()")

    assert [task.name for task in host.tasks()] == ["plain"]


def test_register_models_offers_models(write: Write) -> None:
    host = write(
        "\n@hookimpl\ndef register_models():\n"
        "    return [ModelSpec('big', 'plain', hub_id='a/b'), ModelSpec('odd', 'x', hub_id='a/c')]"
    )

    assert [spec.name for spec in host.models()] == ["big", "odd"]
    assert [spec.name for spec in host.models("plain")] == ["big"]


def test_register_models_is_asked_by_alias_too(write: Write) -> None:
    host = write(
        "\n@hookimpl\ndef register_models():\n    return [ModelSpec('m', 'plain', hub_id='a/b')]",
        aliases={"simple": "plain"},
    )

    assert [spec.name for spec in host.models("simple")] == ["m"]


COMMAND = """
import click

@hookimpl
def register_commands(cli):
    @cli.command()
    @click.argument("name")
    def greet(name):
        "Greet somebody."
        click.echo(f"Hello {name}")
"""


def test_register_commands_gets_a_group_to_add_to(write: Write) -> None:
    host = write(COMMAND)
    host.load_all()
    group = click.Group()

    host.call("register_commands", cli=group)

    assert list(group.commands) == ["greet"]


def test_register_commands_extends_the_command_line(write: Write) -> None:
    write(COMMAND)

    done = CliRunner().invoke(main, ["greet", "you"])

    assert (done.exit_code, done.stdout) == (0, "Hello you\n")


def test_register_commands_may_not_take_the_name_of_a_built_in_one(write: Write) -> None:
    write(COMMAND.replace("def greet", "def run") + "    cli.command('other')(lambda: None)\n")

    done = CliRunner().invoke(main, ["other"])

    assert done.exit_code == 2
    assert "No such command 'other'" in done.stderr


def test_register_commands_of_a_broken_plugin_leaves_nothing_behind(write: Write) -> None:
    write(COMMAND + "    raise RuntimeError('half way')\n")

    done = CliRunner().invoke(main, ["greet", "you"])

    assert done.exit_code == 2
    assert "No such command 'greet'" in done.stderr


def test_register_routes_gets_the_app(write: Write) -> None:
    host = write(
        "\n@hookimpl\ndef register_routes(app):\n    app.routes.append('/hello')\n    return 1"
    )
    host.load_all()
    app = types.SimpleNamespace(routes=[])

    assert host.call("register_routes", app=app) == [("plain", 1)]
    assert app.routes == ["/hello"]


def test_a_hook_may_leave_arguments_out(write: Write) -> None:
    host = write("\n@hookimpl\ndef register_routes():\n    return 'ran'")
    host.load_all()

    assert host.call("register_routes", app=None) == [("plain", "ran")]


def test_a_hook_of_one_plugin_alone(write: Write) -> None:
    host = write(COMMAND)
    host.load_all()

    assert host.call("register_commands", plugin="another", cli=click.Group()) == []


@pytest.fixture
def panels() -> types.ModuleType:
    """A package of its own that adds the hook ``register_panels(page)``."""
    module = types.ModuleType("panels")

    def register_panels(page: object) -> None:
        """Panels."""

    module.register_panels = hookspecs.hookspec(register_panels)  # type: ignore[attr-defined]
    return module


PANELS = "\n@hookimpl(optionalhook=True)\ndef register_panels({}):\n    return ['panel']\n"


@pytest.mark.parametrize("before", [True, False], ids=["loaded before", "loaded after"])
def test_another_package_may_add_hooks(
    write: Write, panels: types.ModuleType, before: bool
) -> None:
    host = write(PANELS.format("page"))
    if before:
        host.load_all()
    host.add_hookspecs(panels)
    host.load_all()

    assert host.call("register_panels", page=None) == [("plain", ["panel"])]


@pytest.mark.parametrize("before", [True, False], ids=["loaded before", "loaded after"])
def test_a_wrong_signature_of_an_added_hook(
    site: Path, write: Write, panels: types.ModuleType, before: bool
) -> None:
    install(site, "nlplug-aa", {"good": PREAMBLE + PANELS.format("page")}, plugins={"aa": "good"})
    host = write(PANELS.format("book"))
    if before:
        host.load_all()
    host.add_hookspecs(panels)
    host.load_all()

    good, wrong = host.records()
    assert (good.state, wrong.state) == ("loaded", "failed")
    assert wrong.cause == (
        "register_panels(book) has a wrong signature: the hook is register_panels(page)"
    )


def example(hook: str) -> str:
    """The module in the docstring of a hookspec."""
    docstring = inspect.getdoc(getattr(hookspecs, hook)) or ""
    return textwrap.dedent(docstring.partition("::\n")[2])


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_every_hookspec_is_a_plugin_that_loads(site: Path, hook: str) -> None:
    name = "mood" if hook == "register_tasks" else "other"
    install(site, "nlplug-shown", {f"shown_{hook}": example(hook)}, plugins={name: f"shown_{hook}"})
    host = PluginHost.discover(path=[str(site)])

    plugin = host.load(name)

    assert inspect.isfunction(getattr(plugin.module, hook))
    if hook == "register_commands":
        group = click.Group()
        host.call(hook, cli=group)
        done = CliRunner().invoke(group, ["greet", "you"])
        assert done.stdout == "Hello you\n"
    elif hook == "register_routes":
        app = FastAPI()
        host.call(hook, app=app)
        assert TestClient(app).get("/hello").json() == {"hello": "world"}
    else:
        made = {"register_tasks": plugin.tasks, "register_models": plugin.models}[hook]
        assert [item.name for item in made] in (["mood"], ["mood-small", "mood-large"])


def test_every_hookspec_has_a_test() -> None:
    tests = [
        node.name
        for node in ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]

    assert HOOKS
    for hook in HOOKS:
        assert any(name.startswith(f"test_{hook}_") for name in tests), hook


def test_a_host_without_plugins_answers_no_hook(site: Path) -> None:
    assert PluginHost.discover(path=[str(site)]).call("register_tasks") == []
