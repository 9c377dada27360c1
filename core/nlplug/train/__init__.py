"""Training in PyTorch (extra ``train``), without any code for single families."""
