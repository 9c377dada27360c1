"""Named-entity recognition for nlplug: who, where and what, with exact offsets."""
