"""Running a graph: devices, sessions, tokenizers, batches, and the engine over them."""
