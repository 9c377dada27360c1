"""``nlplug models``: list, describe, download, seal and remove models."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import click

from nlplug.cli._context import host_of
from nlplug.cli.calibrate import calibrate
from nlplug.cli.confidence import confidence
from nlplug.cli.package import package
from nlplug.cli.protect import decrypt, encrypt, sbom, sign
from nlplug.cli.tune import tune
from nlplug.cli.verify import verify

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.models.hub import HubRef

_LICENCE_WIDTH = 32
"""A licence is usually an SPDX identifier; longer texts are shortened in the table."""

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def models() -> None:
    """List, download, seal, sign, encrypt and remove models.

    A MODEL is a folder, the name of a packaged model, or a repository of the Hub: owner/name, also
    as owner/name@revision or owner/name//subfolder.
    """


models.add_command(calibrate)
models.add_command(confidence)
models.add_command(package, "pack")
for _command in (verify, sign, encrypt, decrypt, sbom, tune):
    models.add_command(_command)


@models.command("list")
@click.option("--task", help="Only models of this task.")
@_as_json
def list_models(task: str | None, as_json: bool) -> None:
    """List packaged and cached models."""
    from nlplug.models.inventory import inventory
    from nlplug.settings import load_settings

    host = host_of()
    wanted = {task, host.aliases().get(task, task)} if task else set()
    entries = [e for e in inventory(host, load_settings()) if not wanted or e.task in wanted]
    if as_json:
        _print_json([entry.to_dict() for entry in entries])
        return
    if not entries:
        click.echo("No models. Download one: nlplug models pull OWNER/NAME")
        return
    rows = [("NAME", "TASK", "PRECISIONS", "SIZE", "LICENCE", "WHERE")]
    for entry in entries:
        place = {
            "package": f"package {entry.dist}",
            "cache": "cache",
            "hub": f"Hub {entry.location}, not downloaded",
        }[entry.where]
        rows.append(
            (
                entry.name,
                entry.task or "-",
                ", ".join(entry.precisions) or "-",
                _size(entry.size) if entry.size else "-",
                shorten(entry.license, _LICENCE_WIDTH, placeholder=" …") or "-",
                f"{place}, BROKEN: {entry.error}" if entry.error else place,
            )
        )
    _print_table(rows)


@models.command()
@click.argument("model")
@click.option("--revision", help="Branch, tag or commit of a Hub model.")
@_as_json
def info(model: str, revision: str | None, as_json: bool) -> None:
    """Show labels, files, metrics and licence of a model."""
    from nlplug.models.inventory import size_of

    bundle = _open(model, revision)
    manifest = bundle.manifest
    if as_json:
        _print_json(
            {
                "name": bundle.name,
                "path": str(bundle.path),
                "size": size_of(bundle),
                "labels": bundle.labels,
                "max_length": bundle.max_length,
                "precisions": {
                    precision: path.relative_to(bundle.path).as_posix()
                    for precision, path in bundle.precisions.items()
                },
                "scales_by_batch": bundle.scales_by_batch,
                "manifest": manifest.model_dump(mode="json") if manifest else None,
            }
        )
        return
    _print_table([(name, value) for name, value in _facts(bundle) if value])
    _print_table([("", ""), *_precision_rows(bundle)])


def _facts(bundle: Bundle) -> list[tuple[str, str]]:
    """Names and values of the facts of a model; a value that it does not state is empty."""
    from nlplug.models.inventory import size_of
    from nlplug.models.tuned import tuned_for

    manifest = bundle.manifest
    facts: list[tuple[str, str]] = [("Name", bundle.name)]
    if manifest:
        facts += [
            ("Description", manifest.description),
            ("Task", manifest.task or manifest.hub_task),
            ("Languages", ", ".join(manifest.languages)),
            ("Licence", manifest.license),
        ]
    facts += [
        (
            "Labels",
            ", ".join(bundle.labels) if len(bundle.labels) < 30 else f"{len(bundle.labels)}",
        ),
        ("Window", f"{bundle.max_length} tokens"),
        ("Size", _size(size_of(bundle))),
        ("Folder", str(bundle.path)),
    ]
    if manifest:
        facts += [
            ("Metrics", _figures(manifest.metrics)),
            ("Data", "; ".join(_figures(record) for record in manifest.data)),
            ("Source", _figures(manifest.source)),
            ("Created", manifest.created),
            ("Tools", _figures(manifest.tools)),
        ]
    else:
        facts.append(("Manifest", "none: a folder in the layout of the Hub, without digests"))
    if (tuned := tuned_for(bundle)) is not None:
        size = f", {tuned.token_budget} tokens per batch" if tuned.token_budget else ""
        facts.append(("Tuned", f"{tuned.precision} on {tuned.device}{size}"))
    if bundle.scales_by_batch:
        facts.append(
            (
                "Batches",
                f"{', '.join(bundle.scales_by_batch)}: the scores of a text depend on the other "
                "texts of its batch",
            )
        )
    return facts


def _precision_rows(bundle: Bundle) -> list[tuple[str, ...]]:
    """The table of the precisions of a model, with its heads."""
    manifest = bundle.manifest
    rows: list[tuple[str, ...]] = [("PRECISION", "FILE", "SIZE", "METRICS", "PARITY")]
    for precision, path in sorted(bundle.precisions.items()):
        record = manifest.precisions.get(precision) if manifest else None
        rows.append(
            (
                precision,
                path.relative_to(bundle.path).as_posix(),
                _size(path.stat().st_size),
                _figures(record.metrics) if record else "",
                _figures(record.parity) if record else "",
            )
        )
    return rows


@models.command()
@click.argument("model")
@click.option("--precision", "-p", multiple=True, help="For example fp32, fp16, int8 (repeatable).")
@click.option("--revision", help="Branch, tag or commit.")
@_as_json
def pull(model: str, precision: tuple[str, ...], revision: str | None, as_json: bool) -> None:
    """Download a Hub model, or its changes."""
    from nlplug.errors import OptionError
    from nlplug.models import cache
    from nlplug.models.inventory import size_of
    from nlplug.settings import load_settings

    ref = _ref(model, revision)
    if ref is None:
        raise OptionError(
            f"{model!r} is a model on this machine, not on the Hub.",
            hint="Give a Hub id: nlplug models pull OWNER/NAME",
        )
    bundle = cache.pull(ref, load_settings(), precisions=precision, update=True)
    if as_json:
        _print_json(
            {
                "name": str(ref),
                "path": str(bundle.path),
                "size": size_of(bundle),
                "precisions": sorted(bundle.precisions),
            }
        )
        return
    has = ", ".join(sorted(cache.precisions_of(bundle)))
    click.echo(f"{ref} ({has}; {_size(size_of(bundle))}) is in {bundle.path}")


@models.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_as_json
def seal(folder: Path, as_json: bool) -> None:
    """Accept the changed files of a bundle.

    Updates the digests in nlplug.json to the current files in FOLDER. Run it after you changed a
    file of the bundle on purpose.
    """
    from nlplug.models.seal import seal as seal_folder

    bundle, changed = seal_folder(folder)
    if as_json:
        _print_json({"name": bundle.name, "path": str(bundle.path), "changed": changed})
    elif changed:
        click.echo(f"Sealed {bundle.name}. Changed: {', '.join(changed)}")
    else:
        click.echo(f"Nothing changed in {bundle.name}.")


@models.command()
@click.argument("model")
@click.option("--revision", help="Branch, tag or commit.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_as_json
def remove(model: str, revision: str | None, yes: bool, as_json: bool) -> None:
    """Remove a downloaded model from the cache."""
    from nlplug.errors import ModelNotFound, OptionError
    from nlplug.models import cache
    from nlplug.settings import load_settings

    settings = load_settings()
    ref = _ref(model, revision)
    if ref is None:
        raise OptionError(
            f"{model!r} is not in the cache.",
            hint="Remove a packaged model with pip uninstall; delete a folder yourself.",
        )
    folder = cache.folder_of(ref, settings)
    if not folder.is_dir():
        same = [str(c.ref) for c in cache.list_cached(settings) if c.ref.repo == ref.repo]
        raise ModelNotFound(
            f"{ref} is not in the cache.",
            hint=f"The cache has of this repository: {', '.join(same)}."
            if same
            else "List the models: nlplug models list",
        )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if not yes:
        click.confirm(f"Remove {ref} ({_size(size)}) from {folder}?", abort=True, err=True)
    cache.remove_cached(ref, settings)
    if as_json:
        _print_json({"removed": str(ref), "path": str(folder), "size": size})
    else:
        click.echo(f"Removed {ref} ({_size(size)}).")


def _open(model: str, revision: str | None) -> Bundle:
    from nlplug.models.resolve import resolve

    return resolve(model, revision=revision, fetch=False)


def _ref(model: str, revision: str | None) -> HubRef | None:
    """The Hub model with this name; None for a folder or an embedded model.

    Raises:
        ModelNotFound: There is no such model.
    """
    from nlplug.models.hub import HubRef
    from nlplug.models.resolve import is_path, packaged, resolve

    if is_path(model):
        return None
    spec = None if "/" in model else packaged(model)
    if spec is not None and spec.hub_id is None:
        return None
    ref = HubRef.parse(spec.hub_id if spec and spec.hub_id else model, revision)
    if ref is None:
        resolve(model, fetch=False)  # raises the error that says what names there are
    return ref


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _print_table(rows: Iterable[tuple[str, ...]]) -> None:
    rows = list(rows)
    columns = max(map(len, rows))
    widths = [max((len(r[i]) for r in rows if len(r) > i), default=0) for i in range(columns)]
    for row in rows:
        click.echo("  ".join(cell.ljust(widths[i]) for i, cell in enumerate(row)).rstrip())


def _figures(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in values.items()
        if not isinstance(value, dict | list)
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
