"""Explanations: how much each word of an input contributes to an answer, from the ONNX graph alone.

`run` answers an input and explains the answer. It asks the model (`contract`) what to explain and
which tokens belong to which characters, plans which words are replaced together (`words`), runs the
graph with words replaced (`passes`), and makes weights of the outputs (`methods`).
"""
