"""Running a graph: devices, sessions, tokenizers, batches and the engine that ties them together."""
