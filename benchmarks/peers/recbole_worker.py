"""RecBole's BPR and LightGCN on given splits; prints one line of JSON. Run by RecBole's own environment."""

import json
import os
import sys
import tempfile
import time

case = json.loads(sys.argv[1])
sys.argv = sys.argv[:1]  # RecBole reads the command line, too
os.chdir(tempfile.mkdtemp())  # and writes logs where it stands

from importlib.metadata import version  # noqa: E402

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.trainer import Trainer  # noqa: E402
from recbole.utils import get_model, init_seed  # noqa: E402


def main() -> None:
    settings = {
        "data_path": case["folder"],
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": ["user_id", "item_id"]},
        "use_gpu": False,
        "embedding_size": case["dim"],
        "n_layers": case["layers"],
        "train_batch_size": case["batch_size"],
        "eval_batch_size": 2**20,
        "learning_rate": case["lr"],
        "epochs": case["max_epochs"],
        "stopping_step": case["patience"],
        "eval_step": 1,
        "eval_args": {"group_by": "user", "order": "RO", "mode": "full"},
        "metrics": ["Recall"],
        "topk": [20],
        "valid_metric": "Recall@20",
        "train_neg_sample_args": {"distribution": "uniform", "sample_num": 1},
        "show_progress": False,
        "state": "ERROR",
        "seed": case["seed"],
        "reproducibility": False,
        "checkpoint_dir": tempfile.mkdtemp(),
    }
    config = Config(model=case["model"], dataset=case["name"], config_dict=settings)
    init_seed(case["seed"], False)
    train, valid, _ = data_preparation(config, create_dataset(config))
    model = get_model(case["model"])(config, train.dataset)
    trainer = Trainer(config, model)
    epochs: list[float] = []
    history: list[tuple[float, float]] = []
    train_epoch = trainer._train_epoch

    def timed_epoch(*args: object, **options: object) -> object:
        started = time.perf_counter()
        loss = train_epoch(*args, **options)
        epochs.append(time.perf_counter() - started)
        return loss

    trainer._train_epoch = timed_epoch
    started = time.perf_counter()

    def note(epoch: int, score: float) -> None:
        history.append((time.perf_counter() - started, float(score)))

    trainer.fit(train, valid, saved=False, show_progress=False, callback_fn=note)
    best = max(range(len(history)), key=lambda epoch: (history[epoch][1], -epoch))
    later = epochs[1:] or epochs
    result = {
        "version": version("recbole"),
        "seconds per epoch": sorted(later)[len(later) // 2],
        "epochs to best": best + 1,
        "seconds to best": history[best][0],
        "val recall@20": history[best][1],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
