"""Whatever a plugin does wrong, it is left out whole, with a cause and a hint."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest
from plugin_zoo import install

from nlplug import PluginHost
from nlplug.errors import PluginError
from nlplug.extras import require

from .conftest import PREAMBLE, Write

REGISTER = "\n@hookimpl\ndef register_tasks():\n    return "


def cause_and_hint(host: PluginHost, name: str = "plain") -> tuple[str, str]:
    """Load a plugin that has to fail; nothing of it may stay."""
    with pytest.raises(PluginError):
        host.load(name)
    record = next(record for record in host.records() if record.name == name)
    assert record.state == "failed"
    assert record.tasks == ()
    assert host.tasks() == []
    assert host.models() == []
    assert host.call("register_tasks") == []
    return str(record.cause), str(record.hint)


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import sys; sys.exit(3)", "called sys.exit(3)"),
        ("raise SystemExit", "called sys.exit(None)"),
        ("class Stop(BaseException): pass\nraise Stop('now')", "Stop: now"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("def broken(:\n", "SyntaxError: invalid syntax (plain_plugin.py, line"),
        ("1 / 0", "ZeroDivisionError: division by zero ("),
    ],
)
def test_failing_to_import(write: Write, source: str, cause: str) -> None:
    found, hint = cause_and_hint(write(source))

    assert "importing plain_plugin " in found
    assert cause in found
    assert "nlplug plugins uninstall nlplug-plain" in hint


def test_a_module_that_raises_for_absent_attributes(write: Write) -> None:
    cause, _ = cause_and_hint(
        write(
            REGISTER + "[Plain()]\n\ndef __getattr__(name):\n    raise RuntimeError('no ' + name)"
        )
    )

    assert "loading it failed: RuntimeError: no NLPLUG_CONTRACT" in cause


def test_a_wrapper_of_other_plugins_hooks(write: Write) -> None:
    cause, _ = cause_and_hint(
        write("\n@hookimpl(wrapper=True)\ndef register_tasks():\n    return (yield)")
    )

    assert cause.startswith("register_tasks is a wrapper")


def test_an_interrupt_is_not_swallowed(write: Write) -> None:
    host = write("raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        host.load("plain")


def test_a_missing_extra_keeps_its_own_hint(write: Write) -> None:
    _, hint = cause_and_hint(
        write(
            "from nlplug.extras import require\n"
            "require('not_there_at_all', 'gpu', purpose='This plugin')"
        )
    )

    assert hint == "pip install 'nlplug[gpu]'"


def test_no_garbage_is_looked_for_while_an_optional_library_is_imported(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site / "large_library.py").write_text("import gc\ncollected = gc.isenabled()\n")
    (site / "broken_library.py").write_text("raise RuntimeError\n")
    monkeypatch.delitem(sys.modules, "large_library", raising=False)

    assert not require("large_library", "train", purpose="Training").collected
    assert gc.isenabled()
    with pytest.raises(RuntimeError):
        require("broken_library", "train", purpose="Training")
    assert gc.isenabled()


def test_an_entry_point_to_a_module_that_does_not_exist(site: Path) -> None:
    install(site, "nlplug-plain", {}, plugins={"plain": "nowhere.plugin"})

    cause, hint = cause_and_hint(PluginHost.discover(path=[str(site)]))

    assert "No module named 'nowhere'" in cause
    assert "[project.entry-points.nlplug]" in hint


def test_an_entry_point_that_is_no_name_of_a_module(site: Path) -> None:
    install(site, "nlplug-plain", {}, plugins={"plain": "../plugin.py"})

    cause, _ = cause_and_hint(PluginHost.discover(path=[str(site)]))

    assert cause == "its entry point is '../plugin.py', which names no module"


@pytest.mark.parametrize(("version", "upgrade"), [("3", "nlplug"), ("1", "nlplug-plain")])
def test_another_version_of_the_contract(write: Write, version: str, upgrade: str) -> None:
    cause, hint = cause_and_hint(write(f"NLPLUG_CONTRACT = {version}" + REGISTER + "[Plain()]"))

    assert f"it was written for contract {version} (NLPLUG_CONTRACT)" in cause
    assert "this nlplug has contract 2" in cause
    assert hint.endswith(f"nlplug plugins install --upgrade {upgrade}")


def test_a_hook_without_its_decorator(write: Write) -> None:
    cause, hint = cause_and_hint(write("\ndef register_tasks():\n    return [Plain()]"))

    assert cause == "the function register_tasks is not decorated"
    assert hint == "Write @nlplug.hookimpl above register_tasks."


def test_no_hook_at_all(write: Write) -> None:
    cause, hint = cause_and_hint(write(""))

    assert cause == "it implements no hook"
    assert "register_tasks" in hint


def test_one_misspelt_hook_takes_the_good_ones_with_it(write: Write) -> None:
    cause, _ = cause_and_hint(
        write(REGISTER + "[Plain()]\n\n@hookimpl\ndef register_model():\n    return []")
    )

    assert "'register_model'" in cause


def test_a_hook_of_an_optional_package_is_let_pass(write: Write) -> None:
    host = write(
        REGISTER
        + "[Plain()]\n\n@hookimpl(optionalhook=True)\ndef register_panels():\n    return []"
    )

    assert host.task("plain").name == "plain"


@pytest.mark.parametrize(
    ("answer", "cause", "hint"),
    [
        ("None", "register_tasks returned None, which is not a list", "Return a list"),
        ("7", "register_tasks returned 7 of type int", "Return a list"),
        ("Plain()", "of type Plain, which is not a list", "Return a list"),
        ("'ab'", "'a' of type str, which is not a task", "nlplug.Task objects"),
        ("[Plain]", "the class Plain instead of an instance", "Return [Plain()]"),
        ("(1 / 0 for _ in 'x')", "register_tasks raised ZeroDivisionError", "Report it"),
        ("exit(5)", "register_tasks raised SystemExit: 5", "Report it"),
        ("[Plain(), Plain()]", "registers the task 'plain' twice", "register it once"),
    ],
)
def test_answers_of_the_wrong_type(write: Write, answer: str, cause: str, hint: str) -> None:
    found, advice = cause_and_hint(write(REGISTER + answer))

    assert cause in found
    assert hint in advice


def test_an_async_hook(write: Write) -> None:
    cause, hint = cause_and_hint(
        write("\n@hookimpl\nasync def register_tasks():\n    return [Plain()]")
    )

    assert cause == "register_tasks is an async function"
    assert hint == "Write def register_tasks(), without async."


def test_a_task_without_an_entry_point_of_its_own(write: Write) -> None:
    cause, hint = cause_and_hint(write(REGISTER + "[Plain()]", "other"), "other")

    assert cause == "it registers the task 'plain', which has no entry point of its own"
    assert 'Add plain = "plain_plugin" to [project.entry-points.nlplug] of nlplug-plain' in hint


def test_an_entry_point_without_its_task(write: Write) -> None:
    cause, hint = cause_and_hint(write(REGISTER + "[Plain()]", "plain", "other"), "other")

    assert cause == "its entry point 'other' has no task: it registers plain"
    assert hint == "Name the entry point after the task."


def test_a_task_that_the_metadata_calls_something_else(write: Write) -> None:
    host = write(REGISTER + "[Plain()]", kinds={"plain": "commands"})

    cause, _ = cause_and_hint(host)

    assert "which its metadata says is of kind 'commands'" in cause


def test_one_module_may_bring_several_tasks(write: Write) -> None:
    host = write(
        "\nclass Other(Plain):\n    name = 'other'\n" + REGISTER + "[Plain(), Other()]",
        "plain",
        "other",
    )

    assert host.task("other").name == "other"
    assert host.task("plain").name == "plain"
    assert host.load("plain") is host.load("other")


def test_an_object_may_hold_the_hooks(site: Path) -> None:
    source = PREAMBLE + (
        "\nclass Hooks:\n    @hookimpl\n    def register_tasks(self):\n        return [Plain()]\n"
        "\nhooks = Hooks()\n"
    )
    install(site, "nlplug-plain", {"plain_object": source}, plugins={"plain": "plain_object:hooks"})

    assert PluginHost.discover(path=[str(site)]).task("plain").name == "plain"


def test_a_model_name_that_another_plugin_has(write: Write, site: Path) -> None:
    model = (
        "\n@hookimpl\ndef register_models():\n    return [ModelSpec('m', 'plain', hub_id='a/b')]"
    )
    write(model, "aa", dist="nlplug-aa", module="plugin_a")
    host = write(model, "bb", dist="nlplug-bb", module="plugin_b")

    host.load_all()

    first, second = host.records()
    assert (first.state, second.state) == ("loaded", "failed")
    assert second.cause == "the model name 'm' is taken by nlplug-aa 1.0"


def test_two_distributions_that_name_the_same_module(site: Path) -> None:
    source = {"plain_plugin": PREAMBLE + REGISTER + "[]"}
    install(site, "nlplug-aa", source, plugins={"aa": "plain_plugin"})
    install(site, "nlplug-bb", {}, plugins={"bb": "plain_plugin"})
    host = PluginHost.discover(path=[str(site)])

    host.load_all()

    assert [record.state for record in host.records()] == ["loaded", "failed"]
    assert "is registered already" in str(host.records()[1].cause)


def test_a_later_hook_that_raises_takes_the_plugin_out(write: Write) -> None:
    host = write(
        REGISTER + "[Plain()]\n\n@hookimpl\ndef register_routes(app):\n    app.route('/x')\n"
    )
    host.load_all()

    assert host.call("register_routes", app=None) == []
    cause, _ = cause_and_hint(host)
    assert "register_routes raised AttributeError" in cause


def test_a_plugin_can_be_rejected_for_what_a_hook_answered(write: Write) -> None:
    host = write(REGISTER + "[Plain()]")
    host.load("plain")

    error = host.reject("plain", "its page has no title", "Give it one.")

    assert "nlplug-plain 1.0 was left out: its page has no title" in error.message
    assert host.task_names() == []
