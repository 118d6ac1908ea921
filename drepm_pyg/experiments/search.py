"""Random search for settings, the same number of trials for every model, chosen on validation alone.

``python -m drepm_pyg.experiments.search space.yaml`` reads search spaces as data::

    data: path/to/data            # every key of a run but 'model' is shared by all trials
    max_epochs: 300
    models:
      LightGCN:
        init_args:
          num_layers: [1, 2, 3]                       # a list: one of these
          reg: {low: 1e-6, high: 1e-1, log: true}     # bounds: uniform, on a log scale where 'log' is true
        lr: [1e-3, 5e-4]                              # keys of a run beside 'init_args' may vary, too

Anything else is a constant. Trials stand under ``<root>/<model>/`` as runs do; finished ones are not run again.
``trials.csv`` lists all of them, ``<model>.yaml`` is the best one of a model, ready for ``drepm fit --config``.
"""

import csv
import json
import math
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least
from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.sources import load_data
from drepm_pyg.experiments.yaml_file import read_yaml

__all__ = ["draw", "search", "trials"]


def draw(space: Any, generator: random.Random) -> Any:
    """One point of a space: a list is a choice, ``low`` and ``high`` are bounds, a mapping is drawn key by key."""
    if isinstance(space, list):
        return generator.choice(space)
    if isinstance(space, Mapping) and {"low", "high"} <= set(space):
        low, high = float(space["low"]), float(space["high"])
        value = math.exp(generator.uniform(math.log(low), math.log(high))) if space.get("log") else None
        return float(f"{generator.uniform(low, high) if value is None else value:.4g}")
    if isinstance(space, Mapping):
        return {name: draw(value, generator) for name, value in space.items()}
    return space


def trials(model: str, space: Mapping[str, Any], count: int, seed: int) -> Iterator[dict[str, Any]]:
    """``count`` distinct points of a space, fewer where there are no more; they depend on the arguments alone."""
    check_at_least(1, trials=count)
    generator = random.Random(f"{seed}/{model}")
    seen: set[str] = set()
    for _ in range(100 * count):  # a small grid is soon exhausted
        point: dict[str, Any] = draw(space, generator)
        key = json.dumps(point, sort_keys=True)
        if key not in seen and len(seen) < count:
            seen.add(key)
            yield point


def search(
    spec: Mapping[str, Any],
    root: str | Path,
    *,
    count: int = 20,
    seed: int = 0,
    models: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Run every trial that has no result yet.

    Args:
        spec: what the module's docstring shows.
        root: where trials and tables go.
        count: trials per model.
        seed: of the points; the runs' own seed is a key of the run.
        models: which models of ``spec``; None: all of them.

    Returns:
        a row per trial: model, trial, validation metrics, costs, settings.

    Raises:
        ValueError: where ``root`` holds trials of another search.
    """
    root, shared = Path(root), {name: value for name, value in spec.items() if name != "models"}
    data = load_data(str(spec["data"]), modalities=spec.get("modalities"), cache=root / ".cache")
    monitor = str(spec.get("monitor", "val/recall@20"))
    rows: list[dict[str, Any]] = []
    for name in models or spec["models"]:
        best: tuple[float, Experiment] | None = None
        for number, point in enumerate(trials(name, spec["models"][name] or {}, count, seed)):
            model = {"class_path": name, "init_args": point.get("init_args", {})}
            rest = {key: value for key, value in point.items() if key != "init_args"}
            trial = Experiment.from_config({**shared, **rest, "model": model})
            result = _run(trial, data, root, f"{name}/trial-{number:03d}")
            score = result["metrics"][monitor]
            if best is None or score > best[0]:
                best = (score, trial)
            metrics = {key: value for key, value in result["metrics"].items() if key.startswith("val/")}
            costs = {key: result[key] for key in ("best_epoch", "epochs", "seconds")}
            rows.append({"model": name, "trial": number, **metrics, **costs, "settings": json.dumps(point)})
            _write_rows(root / "trials.csv", rows)
            print(f"{name} {number}: {monitor} {score:.4f} {json.dumps(point)}", file=sys.stderr, flush=True)
        if best is not None:
            (root / f"{name}.yaml").write_text(yaml.safe_dump(best[1].to_config(), sort_keys=False))
    return rows


def _run(trial: Experiment, data: HeteroData, root: Path, name: str) -> dict[str, Any]:
    """The result of a trial, which is trained where it has none."""
    from drepm_pyg.training import read_result

    folder = root / name
    config = {**trial.to_config(), "root": str(root), "name": name}
    if (folder / "config.yaml").exists() and read_yaml(folder / "config.yaml") != config:
        raise ValueError(f"'{folder}' is a trial of another search. Choose another 'root'.")
    if not (folder / "result.json").exists():
        trial = Experiment.from_config(config)
        trial.run(trial.load(data), resume=True, progress=False)
    return read_result(folder)


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="python -m drepm_pyg.experiments.search", description="Random search for settings.")
    parser.add_argument("space", type=str, help="the YAML file with the search spaces")
    parser.add_argument("--root", type=str, default="runs/search", help="where trials and tables go")
    parser.add_argument("--count", type=int, default=20, help="trials per model")
    parser.add_argument("--seed", type=int, default=0, help="of the points")
    parser.add_argument("--models", type=list[str] | None, default=None, help="which models of the file")
    args = parser.parse_args(argv)
    search(read_yaml(args.space), args.root, count=args.count, seed=args.seed, models=args.models)


if __name__ == "__main__":
    main()
