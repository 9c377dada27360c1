"""Extractive question answering for nlplug: the answer, and its position in the text."""
