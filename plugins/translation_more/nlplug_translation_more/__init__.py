"""A translation model of several languages for nlplug."""
