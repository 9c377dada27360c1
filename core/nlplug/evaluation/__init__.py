"""Evaluation of models on labelled rows: metrics, runs over a file, reports. Needs no torch."""
