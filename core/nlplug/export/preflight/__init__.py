"""Checks of a checkpoint before its export; see `nlplug.export.preflight.run`."""
