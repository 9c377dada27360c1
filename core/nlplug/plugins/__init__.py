"""The plugin host: finds installed plugins, loads those that are asked for, isolates broken ones.

``metadata`` reads the installed packages. ``loading`` imports one plugin, in ``isolation``, and
checks the rules of ``contract``; ``failures`` says why a plugin was left out. ``host`` puts these
together. ``checking`` and ``installer`` are behind ``nlplug plugins check`` and ``install``.
"""

from __future__ import annotations

from nlplug.plugins.failures import failed_plugin
from nlplug.plugins.host import SERVER_PLUGIN_TIMEOUT, PluginHost
from nlplug.plugins.records import Plugin, PluginRecord

__all__ = ["SERVER_PLUGIN_TIMEOUT", "Plugin", "PluginHost", "PluginRecord", "failed_plugin"]
