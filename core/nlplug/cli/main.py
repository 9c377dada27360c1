"""Entry point of the command line: built-in commands, commands of plugins, and errors.

``nlplug --help`` imports no command and no plugin: the help lines of built-in commands are in a
table, and plugins are listed from their metadata.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TextIO

import click

from nlplug.cli._context import host_of
from nlplug.cli._signals import Ended, ending_signals
from nlplug.cli._stdout import open_streams, own_stdout
from nlplug.errors import (
    BatchDependenceWarning,
    DeviceFallbackWarning,
    ForeignTextWarning,
    NlplugError,
    explained,
)
from nlplug.extras import uncollected
from nlplug.plugins import failed_plugin
from nlplug.settings import flag
from nlplug.version import __version__

if TYPE_CHECKING:
    from nlplug.plugins import PluginHost

BUILTIN: dict[str, tuple[str, str]] = {
    "run": ("nlplug.cli.run:run", "Answer texts or a file with a task."),
    "inside": (
        "nlplug.cli.inside:inside",
        "Show attention, token probabilities and similar words inside a model.",
    ),
    "serve": ("nlplug.cli.serve:serve", "Serve tasks over HTTP."),
    "train": ("nlplug.cli.train:train", "Fine-tune a model of a task on labelled data."),
    "data": ("nlplug.cli.data:data", "Check data files before training."),
    "pretrain": ("nlplug.cli.pretrain:pretrain", "Train a tokenizer and a model from scratch."),
    "prune": ("nlplug.cli.prune:prune", "Remove neurons and attention heads from a checkpoint."),
    "export": ("nlplug.cli.export:export", "Export a model to ONNX and check its quality."),
    "evaluate": ("nlplug.cli.evaluate:evaluate", "Score a model on labelled data."),
    "compare": ("nlplug.cli.compare:compare", "Compare two models on labelled data."),
    "package": ("nlplug.cli.package:package", "Write a model as an installable Python package."),
    "verify": ("nlplug.cli.verify:verify", "Check models and wheels for changes and signatures."),
    "push": ("nlplug.cli.push:push", "Upload a model to the Hub."),
    "workspace": (
        "nlplug.cli.workspace:workspace",
        "Keep data sets, training runs and models in one folder.",
    ),
    "models": (
        "nlplug.cli.models:models",
        "List, download, seal, sign, encrypt and remove models.",
    ),
    "plugins": ("nlplug.cli.plugins:plugins", "List, install, check and create plugins."),
}
"""Name → import path of the command, and its line in ``nlplug --help``."""

EXIT_INTERRUPTED = 130


class NlplugCommands(click.Group):
    """The group ``nlplug``: built-in commands imported on demand, and commands of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the built-in commands."""
        return list(BUILTIN)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A built-in command, or one registered by a plugin."""
        if cmd_name not in BUILTIN:
            return _plugin_command(ctx, cmd_name)
        module, _, attribute = BUILTIN[cmd_name][0].partition(":")
        with uncollected():
            command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click, with a hint for an unknown name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args and not args[0].startswith("-"):
                raise click.UsageError(f"{error.message}\n{_unknown_hint(ctx, args[0])}", ctx)  # noqa: B904
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write built-in commands from the table, and those of plugins from metadata."""
        from nlplug.plugins.metadata import TASK

        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in BUILTIN.items()])
        usable = [r for r in host_of(ctx).records() if r.state in ("available", "loaded")]
        commands = [(r.name, f"{r.summary} [{r.dist}]") for r in usable if r.kind == "commands"]
        if commands:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(commands)
        tasks = [(r.name, f"{r.summary} [{r.dist} {r.version}]") for r in usable if r.kind == TASK]
        with formatter.section("Tasks"):
            none = [("(none)", "Install one: nlplug plugins install sentiment")]
            formatter.write_dl(tasks or none)

    def invoke(self, ctx: click.Context) -> None:
        """Run the command; its return value is not used as exit code."""
        super().invoke(ctx)
        # Detects a closed output pipe here instead of at the exit of the interpreter.
        if sys.stdout is not None:
            sys.stdout.flush()

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; print errors to standard error and exit with their code."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        _tune_process()
        try:
            open_streams()
            with ending_signals(), own_stdout(), warnings.catch_warnings():
                warnings.showwarning = _show_warning
                code = super().main(args, prog_name, complete_var, False, **extra)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # a panic of a library in Rust is no Exception
            code = _report(explained(error) or error)
        sys.exit(code or 0)


def _tune_process() -> None:
    """Start and end sooner, as a process that runs one command."""
    # The threads of NumPy's OpenBLAS, one per core, spin for 25 ms after the import before they
    # sleep. No command uses them all the time.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    # Before it exits, Python looks for garbage among all objects several times; the memory is freed
    # with the process anyway.
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning for users in one line; others as Python does."""
    if category in (UserWarning, ForeignTextWarning, DeviceFallbackWarning, BatchDependenceWarning):
        click.echo(f"Warning: {message}", err=True)
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        click.echo(text, file=file, err=True, nl=False)


def _report(error: BaseException) -> int:
    """Print an error for users and return the exit code."""
    if isinstance(error, click.Abort):
        if isinstance(error.__cause__, Ended):
            error.__cause__.deliver()
        if isinstance(error.__cause__, KeyboardInterrupt):
            return EXIT_INTERRUPTED
        click.echo("Aborted!", err=True)
        return 1
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    debug = flag("NLPLUG_DEBUG")
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, NlplugError):
        click.echo(f"Error: {error.message}", err=True)
        if error.hint:
            click.echo(f"Hint: {error.hint}", err=True)
        return error.exit_code
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    click.echo(f"Error: {text}", err=True)
    dist = failed_plugin(error) or "nlplug"
    where = f"the issue tracker of the project (pip show --verbose {dist} prints its URL)"
    more = "" if debug else ", with the traceback that NLPLUG_DEBUG=1 prints"
    click.echo(f"Hint: This is a bug in {dist}. Please report it to {where}{more}.", err=True)
    return 1


def _plugin_command(ctx: click.Context, name: str) -> click.Command | None:
    """The command of this name, from the plugin of the same name or from any other plugin."""
    host = host_of(ctx)
    record = next((r for r in host.records() if r.name == name), None)
    if record is not None and record.state != "disabled":
        # If the named plugin is broken, its error is raised.
        host.load(name)
        if command := _commands_of(host, name).get(name):
            return command
        if record.tasks:
            return None
    host.load_all()
    taken: dict[str, click.Command] = {}
    for other in {r.module: r.name for r in host.records() if r.state == "loaded"}.values():
        taken |= _commands_of(host, other, frozenset(taken))
    return taken.get(name)


def _commands_of(
    host: PluginHost, plugin: str, taken: frozenset[str] = frozenset()
) -> dict[str, click.Command]:
    """The commands of one plugin, collected separately in case the plugin fails."""
    group = click.Group()
    if not host.call("register_commands", plugin=plugin, cli=group):
        return {}
    if clash := sorted(set(group.commands) & ({*BUILTIN} | taken)):
        host.reject(
            plugin,
            f"register_commands adds the command {clash[0]!r}, which exists already",
            "Choose another name for the command; the built-in ones are "
            + ", ".join(BUILTIN)
            + ".",
        )
        return {}
    return dict(group.commands)


def _unknown_hint(ctx: click.Context, name: str) -> str:
    from nlplug.plugins.failures import nearest

    host = host_of(ctx)
    if name in host.task_names() or name in host.aliases():
        return f"Hint: {name!r} is a task, not a command: nlplug run {name} …"
    known = [*BUILTIN, *(r.name for r in host.records() if r.kind == "commands")]
    return f"Hint: {nearest(name, known)}A plugin may provide it: nlplug plugins install {name}"


@click.group(
    name="nlplug", cls=NlplugCommands, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="nlplug")
def main() -> None:
    """NLP tasks as plugins, on ONNX Runtime.

    \b
    nlplug run sentiment "I loved it"
    nlplug plugins install ner
    nlplug COMMAND --help
    """
