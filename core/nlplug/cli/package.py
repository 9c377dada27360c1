"""``nlplug package``: a model as an installable Python package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("model")
@click.option("--name", required=True, help="Name of the model for model=, and of the package.")
@click.option("--version", default="0.1.0", show_default=True, help="Version of the package.")
@click.option("--task", help="The nlplug task, if the model does not state it.")
@click.option("--license", "licence", help="Licence, if it differs from that of the model.")
@click.option("--description", help="Description of the model, one line.")
@click.option("--precision", "-p", multiple=True, help="Pack only this precision (repeatable).")
@click.option(
    "--output",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("dist"),
    show_default=True,
    help="Output folder.",
)
@click.option("--sdist", is_flag=True, help="Write a source distribution in addition to the wheel.")
@click.option("--folder", is_flag=True, help="Write the sources of the package instead of a wheel.")
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Sign the package with this private key (PEM file).",
)
@click.option("--force", is_flag=True, help="Pack a model that did not pass the quality gate.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def package(
    model: str,
    name: str,
    version: str,
    task: str | None,
    licence: str | None,
    description: str | None,
    precision: tuple[str, ...],
    output: Path,
    sdist: bool,
    folder: bool,
    key: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a model as an installable Python package.

    MODEL is a folder, the name of a packaged model, or owner/name of a downloaded one. The package
    is a wheel. The same model gives the same bytes; SOURCE_DATE_EPOCH sets the time of its files.
    """
    from nlplug.models.pack import PackConfig, pack_folder, pack_sdist, pack_wheel
    from nlplug.models.resolve import resolve

    config = PackConfig(name, version, task, licence, description, precision, force, key)
    bundle = resolve(model, fetch=False)
    packed = (pack_folder if folder else pack_wheel)(bundle, output, config)
    result: dict[str, Any] = {"name": name, "version": version, "path": str(packed)}
    lines = [f"Wrote {packed}"]
    if sdist:
        result["sdist"] = str(pack_sdist(bundle, output, config))
        lines.append(f"Wrote {result['sdist']}")
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False, indent=2))
        return
    used = task or (bundle.manifest.task if bundle.manifest else "")
    click.echo("\n".join(lines))
    click.echo(f"  pip install {packed}\n  nlplug run {used} --model {name} TEXT")
