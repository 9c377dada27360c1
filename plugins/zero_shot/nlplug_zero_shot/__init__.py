"""Zero-shot classification as a plugin of nlplug."""
