"""From a PyTorch checkpoint to a bundle of ONNX graphs behind a quality gate (extra ``train``)."""
