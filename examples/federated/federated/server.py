"""The server: it averages the weights of the clients and saves a checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from federated.recipe import recipe_of, tokenizer_of

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds."""
    settings = context.run_config
    torch.manual_seed(int(settings["seed"]))
    model = recipe_of(settings).model()
    clients = int(settings["clients"])
    # Without evaluation by the clients: the export gate scores the result on rows of its own.
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=clients, min_available_nodes=clients)
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(model.state_dict()),
        num_rounds=int(settings["rounds"]),
    )
    model.load_state_dict(result.arrays.to_torch_state_dict())
    output = Path(str(settings["output"]))
    model.save_pretrained(output)
    tokenizer_of(settings).save_pretrained(output)
