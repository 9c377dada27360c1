"""Extractive question answering for nlplug: the answer, and where it stands."""
