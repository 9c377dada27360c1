"""Decoders, and encoders with decoders, as graphs that decode fast on ONNX Runtime.

Optimum exports the *plain* graph. It is the reference, and the graph that runs for architectures
without a fast form. The *fast* graph is not made by matching patterns in the plain one, because
patterns break with releases of PyTorch, of its exporter and of transformers. Instead the weights
are read from the modules of the loaded checkpoint, a new graph is built from them, and both graphs
must give the same logits.

- `weights`, `encoder_decoder_weights`: the weights in one form for all architectures
- `gpt2`, `gpt_neox`, `llama`, `bart`, `t5`, `read`: reading them from a checkpoint
- `products`: matrix products in float32, dynamic int8, and 8-bit blocks
- `nodes`, `parts`: writing nodes, and the parts of layers
- `builder`: the graph of a causal decoder
- `encoder`, `cross_step`: the two graphs of a text-to-text model
- `encoder_decoder_plain`: the plain graphs of text-to-text models
- `export`, `encoder_decoder`: the whole export, with the comparison
"""
