"""What happens inside a model while it reads a text, from the ONNX graph alone.

`attention` finds the attention weights in a graph, whether its nodes are fused or not; `formulas`
computes those that a fused node does not return. `embeddings` finds the table of the input
embeddings and the nearest tokens in it. `result` is what a pipeline's ``inside`` returns.
"""
