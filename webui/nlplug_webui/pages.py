"""The list of pages, and the HTML of the overview and of the plugin page."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from nlplug.task import Localized, Task, localize
from nlplug_webui import hookspecs
from nlplug_webui.hookspecs import Panel
from nlplug_webui.render import empty_html
from nlplug_webui.texts import LANGUAGES, say
from nlplug_webui.workshop.more_texts import shortcut_texts

if TYPE_CHECKING:
    from nlplug.plugins import PluginHost, PluginRecord

PLUGINS_PAGE = "plugins"
WORKSPACE_PAGE = "workspace"
COMPARE_PAGE = "compare"
INSIDE_PAGE = "inside"
CONTENT = "np-content"
"""Id of what a page has below its header."""
_NAMED = (COMPARE_PAGE, INSIDE_PAGE, WORKSPACE_PAGE, PLUGINS_PAGE)
"""Pages of their own, in the order of the navigation."""

# First segments of the paths that Gradio uses.
_GRADIO = frozenset(
    (
        *("assets", "config", "favicon.ico", "gradio_api", "login", "logout", "manifest.json"),
        *("monitoring", "pwa_icon", "queue", "robots.txt", "static", "svelte", "theme.css"),
    )
)


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        path: Path without the slash.
        name: Name of the task or panel.
        title, description: Texts of the page.
        task: The task, or None.
        panel: The panel that builds the page; None for a generated page.
        owner: The plugin that registered the panel.
    """

    path: str
    name: str
    title: Localized
    description: Localized
    task: Task | None = None
    panel: Panel | None = None
    owner: str | None = None


def collect(host: PluginHost, reserved: Collection[str] = ()) -> list[Page]:
    """The pages of all tasks that load, and the panels of plugins; a panel replaces a task page.

    Tasks with a model of their own come first, in the order of their names.

    Args:
        host: The plugins; all of them are loaded.
        reserved: First path segments that are in use, such as those of the HTTP API.
    """
    host.add_hookspecs(hookspecs)
    tasks = {task.name: task for task in host.tasks()}
    panels = _panels(host)
    # A plugin whose panels were refused loses its tasks too.
    alive = set(host.task_names())
    names = [name for name in tasks if name in alive]
    # Tasks that answer at once come first; the others need a model first.
    names.sort(key=lambda name: tasks[name].default_model is None)
    names += [name for name in panels if name not in names]
    taken = {*_NAMED, "", *_GRADIO, *reserved}
    pages = []
    for name in names:
        task = tasks.get(name)
        owner, panel = panels.get(name, (None, None))
        source = panel or task
        if source is None:
            continue
        path = _free_path(name, taken)
        taken.add(path)
        description = source.description or (task.description if task else "")
        pages.append(Page(path, name, source.title, description, task, panel, owner))
    return pages


def header_html(pages: Iterable[Page], current: str, language: str, api: str | None) -> str:
    """The header: name, navigation, and the button for light and dark."""
    pages = list(pages)
    links = [(page.path, localize(page.title, language)) for page in pages]
    items = "".join(_link(path, title, path == current) for path, title in links)
    more = "".join(_link(name, say(name, language), current == name) for name in _NAMED)
    if api:
        label = escape(say("api", language))
        more += f'<a href="{escape(api)}" type="application/json">{label}</a>'
    theme = escape(say("theme", language))
    pages_label = escape(say("pages", language))
    names = {page.path: localize(page.title, language) for page in pages}
    names |= {name: say(name, language) for name in _NAMED}
    title = f"{names[current]} · nlplug" if current in names else "nlplug"
    keys = escape(json.dumps(shortcut_texts(language)))
    shortcuts = escape(shortcut_texts(language)["shortcuts"])
    return (
        f'<header class="np-header" data-title="{escape(title)}" data-shortcuts="{keys}">'
        f'<a class="np-skip" href="#{CONTENT}">{escape(say("skip", language))}</a>'
        '<a class="np-brand" href="./" aria-label="nlplug">'
        '<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="9"/>'
        '<path d="M11 7v6M21 7v6M8 13h16v3a8 8 0 0 1-16 0zM16 24v3"/></svg>'
        f"<span>nlplug</span></a>{_menu(items, more, language)}"
        f'<nav class="np-nav np-nav-end" aria-label="{pages_label}">{more}'
        '<button type="button" class="np-keys-open" '
        f'title="{shortcuts}" aria-label="{shortcuts}">?</button>'
        '<button type="button" class="np-theme" '
        f'title="{theme}" aria-label="{theme}">◐</button>'
        "</nav></header>"
    )


def _menu(items: str, more: str, language: str) -> str:
    """The links to the tasks on one line, and a menu with all links.

    ``static/header.js`` hides the links that do not fit; on a phone there is only the menu.
    """
    label = escape(say("task_pages", language))
    return (
        f'<nav class="np-nav np-nav-tasks" aria-label="{label}">{items}</nav>'
        f'<details class="np-menu"><summary>{escape(say("menu", language))}</summary>'
        f'<nav class="np-menu-links" aria-label="{escape(say("menu", language))}">{items}'
        f'<span class="np-menu-more">{more}</span></nav></details>'
    )


def title_html(page: Page, language: str) -> str:
    """The title of a page and its description."""
    described = localize(page.description, language)
    lead = f"<p>{escape(described)}</p>" if described else ""
    return f'<div class="np-title"><h1>{escape(localize(page.title, language))}</h1>{lead}</div>'


def home_html(pages: Iterable[Page], language: str) -> str:
    """The overview: one card per page, and one for each of the pages that serve all tasks."""
    told = ((page.path, page.title, page.description) for page in pages)
    cards = "".join(
        _home_card(path, localize(title, language), localize(description, language), language)
        for path, title, description in told
    )
    more = "".join(
        _home_card(name, say(name, language), say(f"{name}_lead", language), language)
        for name in _NAMED
    )
    tools = (
        f'<h2 class="np-home-more">{escape(say("home_more", language))}</h2>'
        f'<div class="np-home">{more}</div>'
    )
    lead = (
        f'<div class="np-title"><h1>{escape(say("home_title", language))}</h1>'
        f"<p>{escape(say('home_lead', language))}</p></div>"
    )
    if not cards:
        nothing = empty_html("✦", say("home_none", language), say("home_none_hint", language))
        return f'{lead}<div class="np-card">{nothing}</div>{tools}'
    return f'{lead}<div class="np-home">{cards}</div>{tools}'


def _home_card(path: str, title: str, description: str, language: str) -> str:
    return (
        f'<a class="np-home-card" href="./{escape(path)}"><strong>{escape(title)}</strong>'
        f"<span>{escape(description)}</span><em>{escape(say('open', language))} →</em></a>"
    )


def plugins_html(
    records: Iterable[PluginRecord], language: str, failed_pages: Mapping[str, str]
) -> str:
    """All plugins with their state; failed ones come first, with cause and hint.

    Args:
        records: The result of ``PluginHost.records()``.
        language: Language of the texts.
        failed_pages: Page → cause of the failure to build it.
    """
    ordered = sorted(records, key=lambda record: (record.state != "failed", record.name))
    cards = "".join(_plugin_card(record, language) for record in ordered)
    for page, cause in failed_pages.items():
        title = f"/{page}: {say('error_page', language)}"
        cards += _card(title, "", "failed", language, cause, None, {})
    if not cards:
        nothing = empty_html("✦", say("plugins_none", language), say("home_none_hint", language))
        return f'<div class="np-card">{nothing}</div>'
    return f'<div class="np-plugins">{cards}</div>'


def texts_of(pages: Iterable[Page], api: str | None) -> dict[str, Mapping[str, str]]:
    """Headers, titles and the overview by key and language."""
    pages = list(pages)
    every = {page.path: page for page in [*pages, *_OWN]}
    found: dict[str, Mapping[str, str]] = {}
    for path in every:
        found[f"header:{path}"] = {
            language: header_html(pages, path, language, api) for language in LANGUAGES
        }
    for page in pages:
        found[f"title:{page.path}"] = {
            language: title_html(page, language) for language in LANGUAGES
        }
    for name in _NAMED:
        found["title:" + name] = {
            language: f'<div class="np-title"><h1>{say(name, language)}</h1>'
            f"<p>{say(f'{name}_lead', language)}</p></div>"
            for language in LANGUAGES
        }
    found["home:html"] = {language: home_html(pages, language) for language in LANGUAGES}
    found["foot:html"] = {
        language: f'<footer class="np-foot">{say("foot", language)}</footer>'
        for language in LANGUAGES
    }
    return found


HOME = Page("", "home", "nlplug", "")
_OWN = (*(Page(name, name, "", "") for name in _NAMED), HOME)


def _panels(host: PluginHost) -> dict[str, tuple[str, Panel]]:
    """Panels by name, with their plugin; a plugin that returns invalid panels is rejected."""
    found: dict[str, tuple[str, Panel]] = {}
    for owner, answer in host.call("register_panels"):
        panels = list(answer) if isinstance(answer, Iterable) else [answer]
        wrong = next((panel for panel in panels if not isinstance(panel, Panel)), None)
        if wrong is not None:
            host.reject(
                owner,
                f"register_panels returned {type(wrong).__name__}, not a nlplug_webui.Panel",
                "Return a list of Panel(name=…, title=…, build=…).",
            )
            continue
        taken = next((panel for panel in panels if panel.name in found), None)
        if taken is not None:
            host.reject(
                owner,
                f"the page {taken.name!r} already belongs to the plugin {found[taken.name][0]!r}",
                "Choose another name for the panel.",
            )
            continue
        found |= {panel.name: (owner, panel) for panel in panels}
    return found


def _free_path(name: str, taken: Collection[str]) -> str:
    path = re.sub(r"[^A-Za-z0-9._~-]+", "-", name).strip("-") or "page"
    while path in taken:
        path = f"ui-{path}"
    return path


def _link(path: str, title: str, current: bool) -> str:
    mark = ' aria-current="page"' if current else ""
    return f'<a href="./{escape(path)}"{mark}>{escape(title)}</a>'


def _plugin_card(record: PluginRecord, language: str) -> str:
    facts = {
        "tasks": ", ".join(record.tasks),
        "module": record.module,
    }
    origin = f"{record.dist} {record.version}"
    return _card(record.name, origin, record.state, language, record.cause, record.hint, facts)


def _card(
    name: str,
    origin: str,
    state: str,
    language: str,
    cause: str | None,
    hint: str | None,
    facts: Mapping[str, str],
) -> str:
    items = "".join(
        f"<div><dt>{escape(say(key, language))}</dt><dd>{escape(value)}</dd></div>"
        for key, value in facts.items()
        if value
    )
    note = f'<p class="np-cause">{escape(cause)}</p>' if cause else ""
    if hint:
        note += (
            f'<p class="np-hint"><strong>{escape(say("hint", language))}</strong> '
            f"{escape(hint)}</p>"
        )
    return (
        f'<article class="np-plugin np-plugin-{escape(state)}" data-plugin="{escape(name)}">'
        f"<header><strong>{escape(name)}</strong><span>{escape(origin)}</span>"
        f'<span class="np-state">{escape(say(f"state_{state}", language))}</span></header>'
        f"{note}<dl>{items}</dl></article>"
    )
