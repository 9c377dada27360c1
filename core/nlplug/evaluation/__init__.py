"""How good a model is on labelled rows: metrics, runs over a file, reports. Needs no torch."""
