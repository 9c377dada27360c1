"""``nlplug verify``: compare models and wheels with their digests and signatures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from nlplug.cli._context import host_of


@click.command()
@click.argument("model", nargs=-1)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Public key (PEM file) that must have signed the models.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def verify(ctx: click.Context, model: tuple[str, ...], key: Path | None, as_json: bool) -> None:
    """Check models and wheels for changed, missing and unlisted files.

    MODEL is a folder, the name of a packaged model, owner/name of a downloaded one, or a wheel with
    a model. Without MODEL, all models on this machine are checked. With --key, each model must also
    be signed with this key; of other files, such as source distributions, only the signature is
    checked. NLPLUG_VERIFY=1 and NLPLUG_VERIFY_KEY=FILE make the same check each time a model is
    loaded.
    """
    from nlplug.errors import NlplugError

    results: list[dict[str, Any]] = []
    code = 0
    for name in model or _all_names():
        result: dict[str, Any] = {"model": name, "ok": True}
        try:
            result |= _verified(name, key)
        except NlplugError as error:
            result |= {"ok": False} | error.to_dict()
            code = code or error.exit_code
        results.append(result)
        if not as_json:
            _print_result(result)
    if as_json:
        click.echo(json.dumps(results, ensure_ascii=False, indent=2))
    elif not results:
        click.echo("No models.")
    ctx.exit(code)


def _verified(name: str, key: Path | None) -> dict[str, Any]:
    from nlplug.errors import OptionError
    from nlplug.models.resolve import resolve
    from nlplug.models.signing import check_signature
    from nlplug.models.trust import verify_bundle, verify_wheel

    if name.endswith(".whl"):
        verify_wheel(Path(name), key)
        return {"path": name, "digests": True, "signed": key is not None}
    if Path(name).is_file():
        if key is None:
            raise OptionError(
                f"{name} is not a wheel, so only its signature can be checked.",
                hint="Give the public key with --key, or name a wheel or the folder of a bundle.",
            )
        check_signature(Path(name), key)
        return {"path": name, "digests": True, "signed": True}
    bundle = resolve(name, fetch=False)
    verify_bundle(bundle, key)
    return {
        "path": str(bundle.path),
        "digests": bundle.manifest is not None,
        "signed": key is not None,
    }


def _all_names() -> list[str]:
    from nlplug.models.inventory import inventory
    from nlplug.settings import load_settings

    return [e.name for e in inventory(host_of(), load_settings()) if e.where != "hub"]


def _print_result(result: dict[str, Any]) -> None:
    if result["ok"]:
        note = "" if result["digests"] else " (no manifest: only links were checked)"
        note += " (signed)" if result["signed"] else ""
        click.echo(f"ok      {result['model']}{note}")
        return
    click.echo(f"BROKEN  {result['model']}: {result['error']}")
    if "hint" in result:
        click.echo(f"        Hint: {result['hint']}")
