"""Pure functions over texts and their tokens, shared by training, scoring and serving."""
