"""Text classification for nlplug: any labels, one or several, or none when unsure."""
