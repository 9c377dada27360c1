"""Fine-tuning in PyTorch (extra ``train``); the only place besides export that imports torch."""
