"""Repairs of precisions that the gate refuses; see `nlplug.export.repair.ladder`."""
