"""Model bundles: the folder format, where models come from, how they are packed."""
