"""Decoding on ONNX Runtime and numpy: greedy, sampling and beam search over a KV cache.

The modules, in the order in which a prompt meets them:

- `text`: batches of prompts with similar lengths; tokens become text, stop texts end it.
- `settings`: every option that a caller chooses, declared once.
- `options`: these with the tokens of one model and the callbacks of one call (`DecodingOptions`).
- `generate`: `generate` and `stream`; the loop of greedy decoding and sampling.
- `beam`: the loop of beam search, and of beam sampling.
- `beam_candidates`: the tokens that the beams may continue with.
- `processors`: penalties, bans and forced tokens, which change the logits.
- `sampling`: temperature, top-k, top-p, min-p and typical-p, and the random choice.
- `ranking`: the most likely tokens, from the graph or by numpy.
- `history`: the tokens of each row, and the conditions that end a row.
- `open`: a file becomes a `Decoder`; the metadata of its graph say of which form.
- `decoder`: the protocols `Decoder` and `Decoding`, and the shape of a model (`DecoderSpec`).
- `fast`, `fast_encoder_decoder`: graphs in the fast form, for causal and for text-to-text models.
- `cache`: keys and values of the fast form, in memory shared by numpy and ONNX Runtime.
- `plain`, `plain_encoder_decoder`: graphs as Optimum exports them, for the same kinds.
- `joined`: continuous batching: calls of several threads that run their steps together.
- `sessions`: ONNX Runtime sessions, and the threads that share the rows.
- `graph_session`: one session, whose errors name the file.
- `scoring`: the logits of given texts, without decoding.

One prompt goes through them like this. `TextDecoder` puts it into a batch and calls `generate`.
`Decoder.start` runs the prompt once (prefill), which fills the cache and gives the logits after its
last token; a text-to-text model runs its encoder and the start token instead. Then the loop
repeats: processors change the logits if any is active; the next token is the most likely one, a
sampled one, or that of the best beams; `History` takes it and `Stopping` says which rows end; rows
that ended are removed from the cache (`Decoding.keep`), and beams take over the cache of the beam
that they continue (`Decoding.follow`); `Decoding.step` runs the graph with one token per row.
`TextStream` turns the tokens into text and holds back what may become a stop text.

Each call runs this loop in its own thread. Calls of a large causal model in the fast form share the
steps of the graph: `JoinedDecoder` gives each call a `Decoding` whose `step` waits for the other
calls and runs the graph once for all. The rest of the loop is independent of this. Calls of other
graphs, and calls with enough rows to use all threads, run at the same time.

What this package does not know: tokenizers (it receives a function from tokens to text), chat
templates, files of a bundle other than graphs, and GPUs (decoding runs on the CPU).
"""
