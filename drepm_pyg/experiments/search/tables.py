"""What a sweep leaves for its readers: every trial as CSV, the best ones as Markdown and as files of settings."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from drepm_pyg._files import replaced
from drepm_pyg._markdown import markdown_table
from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.search.plan import SweepPlan
from drepm_pyg.experiments.search.study import STATE_NAMES, is_current, place_of

__all__ = ["best_experiment", "best_row", "read_rows", "summarize", "write_tables"]


def read_rows(storage: RDBStorage) -> list[dict[str, Any]]:
    """A row per trial of every model of the storage, with the same names in each."""
    rows = []
    for name in optuna.get_all_study_names(storage):
        trials = optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
        current = [_row(name, trial) for trial in trials if is_current(trial) and place_of(trial) is not None]
        rows += sorted(current, key=lambda row: int(row["trial"]))
    metrics = dict.fromkeys(name for row in rows for name in row if name.startswith("val/"))
    names = ("model", "trial", "state", *metrics, "best_epoch", "epochs", "seconds", "settings", "error")
    return [{name: row.get(name) for name in names} for row in rows]


def best_row(rows: Sequence[Mapping[str, Any]], model: str, monitor: str) -> Mapping[str, Any] | None:
    """The completed trial of a model with the largest validation metric, the first of equals; None without one."""
    complete = [row for row in rows if row["model"] == model and row["state"] == "complete"]
    return max(complete, key=lambda row: float(row[monitor]), default=None)


def best_experiment(plan: SweepPlan, row: Mapping[str, Any]) -> Experiment:
    """The run of a row, without the place where it ran."""
    return plan.experiment(row["model"], json.loads(row["settings"]))


def summarize(plan: SweepPlan, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row per model: its best trial, and what the search cost."""
    table = []
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        best = best_row(own, model, plan.monitor)
        counts = {state: sum(row["state"] == state for row in own) for state in ("complete", "pruned", "failed")}
        chosen = {name: None if best is None else best[name] for name in own[0] if name.startswith("val/")}
        table.append(
            {
                "model": model,
                **chosen,
                "trial": None if best is None else best["trial"],
                "epochs": None if best is None else best["epochs"],
                **counts,
                "seconds": round(sum(row["seconds"] or 0.0 for row in own), 1),
                "settings": None if best is None else best["settings"],
            }
        )
    return table


def write_tables(plan: SweepPlan, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``trials.csv``, ``best.md`` and ``<Model>.yaml``, each whole and at once."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    _write(plan.root / "trials.csv", text.getvalue())
    table = summarize(plan, rows)
    cells = [[f"{cell:.4f}" if isinstance(cell, float) else cell for cell in row.values()] for row in table]
    cells = [["" if cell is None else cell for cell in line] for line in cells]
    _write(plan.root / "best.md", markdown_table(list(table[0]), cells) + "\n")
    for model in plan.spaces:
        best = best_row(rows, model, plan.monitor)
        if best is not None:
            tried = sum(row["model"] == model and row["state"] in ("complete", "pruned", "failed") for row in rows)
            _write(
                plan.root / f"{model}.yaml",
                f"# The best of {tried} trials by {plan.monitor} ({best[plan.monitor]:.4f}, trial {best['trial']}): "
                f"drepm sweep, sampler {plan.sampler}, seed {plan.seed}.\n"
                + yaml.safe_dump(best_experiment(plan, best).to_config(), sort_keys=False),
            )


def _row(model: str, trial: FrozenTrial) -> dict[str, Any]:
    outcome = dict(trial.user_attrs.get("outcome", {}))
    return {
        "model": model,
        "trial": place_of(trial)["number"],
        "state": STATE_NAMES[trial.state],
        "settings": place_of(trial)["settings"],
        **outcome.pop("metrics", {}),
        **outcome,
    }


def _write(path: Path, text: str) -> None:
    with replaced(path) as hidden:
        hidden.write_text(text, encoding="utf-8", newline="")
