"""A classifier that several clients train together without sending their rows."""
