"""Causal language models as graphs that decode fast on ONNX Runtime.

Optimum exports the *plain* graph, which is the reference and, for architectures unknown here, what
runs. The *fast* graph is not made by matching patterns in it: such patterns break with every
release of PyTorch, of its exporter and of transformers, and what half matches is half fast. The
weights are read from the modules of the loaded checkpoint, whose names are as good as a file
format, the decoder is built anew around them, and both graphs must then give the same logits.

- `weights`: what a decoder is made of, whatever its checkpoint calls it
- `gpt2`, `gpt_neox`, `llama`: reading these families
- `products`: matrix products in float32, dynamic int8, and 8-bit blocks
- `builder`: the graph
- `export`: all of it together, held against the plain graph
"""
