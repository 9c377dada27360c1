"""Decoding on ONNX Runtime and numpy alone: caches, greedy and beam search, sampling."""
