"""``nlplug plugins``: list, install, remove, check and create plugins.

Only ``check`` and ``list --load`` import plugins, so all other commands work even if every plugin
is broken.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from nlplug.plugins import PluginHost, PluginRecord
    from nlplug.plugins.contract import Check

_STATE_COLOUR = {"available": None, "loaded": "green", "failed": "red", "disabled": "yellow"}
_TO_PIP = {"ignore_unknown_options": True}


@click.group()
def plugins() -> None:
    """List, install, check and create plugins."""
    from nlplug.plugins.kept import restore

    for name in restore():
        click.echo(f"Restored {name}, which a killed command had begun to replace.", err=True)


@plugins.command("list")
@click.option("--load", is_flag=True, help="Import all plugins, to find broken ones.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(load: bool, as_json: bool) -> None:
    """List the installed plugins from their metadata."""
    from nlplug.plugins import PluginHost

    host = PluginHost.discover(strict=False)
    if load:
        _load_quietly(host)
    records = host.records()
    if as_json:
        click.echo(json.dumps([asdict(record) for record in records], indent=2))
        return
    if not records:
        click.echo("No plugin is installed. Install one: nlplug plugins install sentiment")
        return
    rows = [("NAME", "KIND", "DISTRIBUTION", "VERSION", "STATE")]
    rows += [(r.name, r.kind, r.dist, r.version, r.state) for r in records]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row, record in zip(rows, [None, *records], strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        colour = _STATE_COLOUR[record.state] if record else None
        click.echo("  ".join([*cells, click.style(row[-1], fg=colour)]))
        if record is not None and record.cause:
            click.echo(f"    cause: {record.cause}")
            click.echo(f"    hint:  {record.hint}")


@plugins.command(context_settings=_TO_PIP)
@click.argument("names", nargs=-1, required=True, type=click.UNPROCESSED, metavar="NAME...")
@click.option("-e", "--editable", is_flag=True, help="Install source folders in editable mode.")
@click.option("-U", "--upgrade", is_flag=True, help="Upgrade installed plugins.")
@click.option("--exact", is_flag=True, help="Use names as given, without adding 'nlplug-'.")
def install(names: tuple[str, ...], editable: bool, upgrade: bool, exact: bool) -> None:
    """Install plugins into this environment.

    NAME is a short name (ner means nlplug-ner), a distribution, a folder, a wheel or a URL.
    Options that are not listed here are passed to pip. Write an option with a value as
    --option=value.
    """
    from nlplug.errors import OptionError
    from nlplug.plugins import installer
    from nlplug.plugins.kept import kept
    from nlplug.plugins.metadata import scan

    wanted = [name for name in names if not name.startswith("-")]
    if not wanted:
        raise OptionError("No plugin is named.", hint="nlplug plugins install NAME")
    requirements = [installer.requirement(name, exact=exact) for name in wanted]
    before = scan().entries
    arguments = [name for name in names if name.startswith("-")]
    arguments += ["--upgrade"] if upgrade else []
    for requirement in requirements:
        arguments += ["-e", requirement] if editable else [requirement]
    for name in installer.remove_leftovers(requirements):
        click.echo(f"Removed what a killed installation had left of {name}.", err=True)
    with kept(installer.name_of(requirement) for requirement in requirements):
        installer.run(["install", *arguments])
    for entry in scan().entries:
        if entry not in before:
            click.echo(
                f"Installed {entry.name} ({entry.dist}). Check it: "
                f"nlplug plugins check {entry.name}"
            )


@plugins.command(context_settings=_TO_PIP)
@click.argument("names", nargs=-1, required=True, type=click.UNPROCESSED, metavar="NAME...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def uninstall(names: tuple[str, ...], yes: bool) -> None:
    """Remove the distributions of plugins.

    NAME is a plugin or a distribution.
    """
    from nlplug.plugins import installer
    from nlplug.plugins.kept import kept
    from nlplug.plugins.metadata import scan

    inventory = scan()
    dists = [
        installer.distribution_of(name, inventory) for name in names if not name.startswith("-")
    ]
    dists = list(dict.fromkeys(dists))
    for dist in dists:
        brought = [entry.name for entry in inventory.entries if entry.dist.name == dist]
        click.echo(f"{dist}: {', '.join(brought)}")
    if not yes:
        click.confirm("Remove?", abort=True)
    arguments = [name for name in names if name.startswith("-")]
    arguments += ["-y"] if installer.uses_pip() else []
    with kept(dists):
        installer.run(["uninstall", *arguments, *dists])
    installer.check_removed(dists)


@plugins.command()
def freeze() -> None:
    """Print requirements to install the same plugins again."""
    from nlplug.plugins.installer import pinned
    from nlplug.plugins.metadata import scan

    for dist in sorted({"nlplug", *(entry.dist.name for entry in scan().entries)}):
        click.echo(pinned(dist))


@plugins.command()
@click.argument("targets", nargs=-1, metavar="[NAME|PATH]...")
@click.option("--no-run", is_flag=True, help="Do not run the examples on the default model.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(ctx: click.Context, targets: tuple[str, ...], no_run: bool, as_json: bool) -> None:
    """Check plugins against the loader's rules and the contract.

    Checks the installed plugin NAME, or the source folder or wheel PATH; without arguments, all
    installed plugins. The exit code is 4 if a check fails.
    """
    from nlplug.errors import PluginError
    from nlplug.plugins.isolation import stdout_to_stderr

    output = sys.stdout
    reports: list[dict[str, Any]] = []
    for record, checks in _reports(targets, run_examples=not no_run):
        if not as_json:
            click.echo(f"{record.name} ({record.dist} {record.version})")
        done = []
        with stdout_to_stderr():
            for found in checks:
                done.append(found)
                if not as_json:
                    _show(found, output)
        reports.append(
            {
                "name": record.name,
                "dist": record.dist,
                "version": record.version,
                "ok": all(found.ok for found in done),
                "checks": [asdict(found) for found in done],
            }
        )
    if as_json:
        click.echo(json.dumps(reports, indent=2, ensure_ascii=False))
    failed = [report["name"] for report in reports if not report["ok"]]
    if failed:
        click.echo(f"Failed: {', '.join(failed)}", err=True)
        ctx.exit(PluginError.exit_code)
    if not as_json:
        click.echo(f"All checks passed: {len(reports)} plugin{'s' * (len(reports) != 1)}.")


@plugins.command()
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder for the new package.  [default: the current folder]",
)
@click.option(
    "--family", help="The family of the task.  [default: the one of tasks that label whole texts]"
)
def new(name: str, directory: Path, family: str | None) -> None:
    """Create a plugin package that works immediately.

    Before anything in it is changed, the package installs, passes its checks and tests, and answers
    with a tiny model.
    """
    from nlplug.scaffold import write_package

    folder = write_package(name, directory, family=family)
    click.echo(f"Wrote {folder}")
    click.echo("Next:")
    click.echo(f"  nlplug plugins install -e {folder}")
    click.echo(f"  nlplug plugins check {name}")
    click.echo(f'  nlplug run {name} "a good day"')


def _reports(
    targets: Sequence[str], *, run_examples: bool
) -> Iterator[tuple[PluginRecord, Iterator[Check]]]:
    from nlplug.plugins import PluginHost
    from nlplug.plugins.checking import check_plugin, unpacked
    from nlplug.plugins.installer import distribution_of, is_location
    from nlplug.plugins.metadata import normalize, scan

    inventory = scan()
    installed = PluginHost(inventory)
    if not targets:
        for record in installed.records():
            yield record, check_plugin(installed, record, run_examples=run_examples)
    for target in targets:
        if is_location(target):
            with unpacked(Path(target)) as (host, dist):
                for record in host.records():
                    if normalize(record.dist) == dist:
                        yield record, check_plugin(host, record, run_examples=run_examples)
            continue
        names = [record for record in installed.records() if record.name == target]
        dist = "" if names else distribution_of(target, inventory)
        for record in names or installed.records():
            if names or record.dist == dist:
                yield record, check_plugin(installed, record, run_examples=run_examples)


def _show(found: Check, output: TextIO) -> None:
    mark = click.style("ok  ", fg="green") if found.ok else click.style("FAIL", fg="red")
    detail = f": {found.detail}" if found.detail else ""
    click.echo(f"  {mark}  {found.name}{detail}", file=output)
    if not found.ok and found.hint:
        click.echo(f"        hint: {found.hint}", file=output)


def _load_quietly(host: PluginHost) -> None:
    """Load all plugins without logging failures, because the table shows them."""
    log = logging.getLogger("nlplug.plugins")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        host.load_all()
    finally:
        log.setLevel(level)
