"""A client: it trains on its own rows and sends weights, never rows."""

from __future__ import annotations

from pathlib import Path

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from torch.utils.data import DataLoader

from federated.recipe import recipe_of, tokenizer_of
from nlplug.data import read_rows

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """One round: the weights of the server, trained on the rows of this client."""
    settings = context.run_config
    file = str(context.node_config["data"])
    recipe, tokenizer = recipe_of(settings, file), tokenizer_of(settings)
    rows = list(read_rows(Path(file)))
    torch.manual_seed(int(settings["seed"]))
    recipe.fit(rows)
    recipe.contrast = 0.0  # that loss needs the vectors, which this short loop does not hand on
    model = recipe.model()
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    model.train()
    dataset = recipe.dataset(recipe.examples(rows), tokenizer)
    loader = DataLoader(
        dataset,
        batch_size=int(settings["batch-size"]),
        shuffle=True,
        collate_fn=lambda features: recipe.collate(features, tokenizer),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=float(settings["learning-rate"]))
    total = 0.0
    for _ in range(int(settings["epochs"])):
        for batch in loader:
            labels = batch.pop("labels")
            loss = recipe.loss(model(**batch), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
    metrics = {"loss": total / len(loader) / int(settings["epochs"]), "num-examples": len(rows)}
    content = RecordDict(
        {"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord(metrics)}
    )
    return Message(content=content, reply_to=message)
