"""``nlplug push``: upload a model to a repository of the Hub."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("model")
@click.argument("repository")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--message", "-m", help="Message of the commit.")
@click.option("--force", is_flag=True, help="Upload a model that did not pass the quality gate.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def push(
    model: str, repository: str, private: bool, message: str | None, force: bool, as_json: bool
) -> None:
    """Upload a model with its card to a repository of the Hub.

    MODEL is a folder, the name of a packaged model, or owner/name of a downloaded one. REPOSITORY
    is owner/name; it is created if it does not exist. The token is that of `hf auth login`, or
    HF_TOKEN.
    """
    from nlplug.models.push import push as push_bundle
    from nlplug.models.resolve import resolve
    from nlplug.settings import load_settings

    bundle = resolve(model, fetch=False)
    address = push_bundle(
        bundle, repository, load_settings(), private=private, message=message, force=force
    )
    if as_json:
        click.echo(json.dumps({"name": bundle.name, "repository": repository, "commit": address}))
    else:
        click.echo(f"Uploaded {bundle.name} to {repository}: {address}")
