"""Fill-mask as a plugin of nlplug."""
