"""Text classification for nlplug: one label, several labels, or none if the model is not sure."""
