"""Translation as a plugin of nlplug, with an English to French model inside."""
