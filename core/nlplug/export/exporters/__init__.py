"""Exporters: PyTorch to ONNX in float32, by Optimum or by ``torch.onnx``."""
