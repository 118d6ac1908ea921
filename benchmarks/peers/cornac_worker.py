"""Cornac's BPR, VBPR and LightGCN on given splits; prints one line of JSON. Run by Cornac's own environment.

Cornac trains for a given number of epochs and validates afterwards: the number is doubled as long as that helps, and
the time to the best score is that of the best run alone.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from cornac.data import Dataset, ImageModality
from cornac.models import BPR, VBPR

case = json.loads(sys.argv[1])


def main() -> None:
    train, valid = _pairs("train"), _pairs("valid")
    dataset = _dataset(train)
    epochs, history = min(5, case["max_epochs"]), []
    while True:
        model = _model(epochs)
        started = time.perf_counter()
        model.fit(dataset)
        seconds = time.perf_counter() - started
        history.append((_recall(model, dataset, valid), seconds, epochs))
        if (len(history) > 1 and history[-1][0] <= history[-2][0]) or 2 * epochs > case["max_epochs"]:
            break
        epochs *= 2
    score, to_best, needed = max(history, key=lambda run: run[0])
    result = {
        "version": version("cornac"),
        "seconds per epoch": history[-1][1] / history[-1][2],
        "epochs to best": needed,
        "seconds to best": to_best,
        "val recall@20": score,
    }
    print(json.dumps(result))


def _pairs(split: str) -> list[tuple[str, str, float]]:
    lines = Path(case["folder"], case["name"], f"{case['name']}.{split}.inter").read_text().splitlines()[1:]
    return [(*line.split("\t"), 1.0) for line in lines]


def _dataset(train: list[tuple[str, str, float]]) -> Dataset:
    dataset = Dataset.from_uir(train, seed=case["seed"])
    if case["model"] == "VBPR":
        features = np.load(case["features"])
        ids = [str(item) for item in range(len(features))]
        known = [item for item in ids if item in dataset.iid_map]
        rows = np.stack([features[int(item)] for item in known])
        modality = ImageModality(features=rows, ids=known, normalized=True)
        modality.build(id_map=dataset.iid_map)
        dataset.add_modalities(item_image=modality)
    return dataset


def _model(epochs: int) -> object:
    common = {"seed": case["seed"], "verbose": False}
    if case["model"] == "BPR":
        return BPR(k=case["dim"], max_iter=epochs, learning_rate=0.01, lambda_reg=0.01, use_bias=False, **common)
    if case["model"] == "VBPR":
        half = case["dim"]
        return VBPR(k=half, k2=half, n_epochs=epochs, batch_size=case["batch_size"], learning_rate=case["lr"], **common)
    from cornac.models import LightGCN

    return LightGCN(
        emb_size=case["dim"],
        num_layers=case["layers"],
        num_epochs=epochs,
        batch_size=case["batch_size"],
        learning_rate=case["lr"],
        **common,
    )


def _recall(model: object, dataset: Dataset, valid: list[tuple[str, str, float]]) -> float:
    """Recall@20 over users with validation items, training items left out; an item unknown in training is a miss."""
    held: dict[str, list[int]] = {}
    for user, item, _ in valid:
        held.setdefault(user, []).append(dataset.iid_map.get(item, -1))
    recalls = []
    for user, items in held.items():
        row = dataset.uid_map[user]
        scores = np.array(model.score(row), dtype=np.float64)
        scores[dataset.user_data[row][0]] = -np.inf
        best = np.argpartition(-scores, 20)[:20]
        recalls.append(len(set(items) & set(best.tolist())) / len(items))
    return float(np.mean(recalls))


if __name__ == "__main__":
    main()
