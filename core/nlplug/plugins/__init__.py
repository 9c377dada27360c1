"""The plugin host: finds installed plugins, loads those that are asked for, isolates broken ones.

Metadata is read in ``metadata``, one plugin is loaded in ``loading`` by the rules of ``contract``,
and a plugin that breaks a rule is described by ``failures``. ``host`` holds the result.
"""

from __future__ import annotations

from nlplug.plugins.host import PluginHost
from nlplug.plugins.records import Plugin, PluginRecord

__all__ = ["Plugin", "PluginHost", "PluginRecord"]
