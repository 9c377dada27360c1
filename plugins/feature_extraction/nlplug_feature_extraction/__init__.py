"""Feature extraction as a plugin of nlplug."""
