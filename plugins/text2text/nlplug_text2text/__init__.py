"""Summarization and text-to-text generation as a plugin of nlplug."""
