"""Two models over several seeds, compared user by user.

``python -m drepm_pyg.experiments.significance one.yaml other.yaml`` trains both runs with each seed (a seed that is
finished is not trained again) and prints a row per metric.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least
from drepm_pyg.evaluation import evaluate_users
from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.markdown import markdown_table
from drepm_pyg.experiments.sources import load_data
from drepm_pyg.experiments.yaml_file import read_yaml

__all__ = ["Comparison", "Pair", "compare", "holm", "paired_tests", "pairwise_tests"]


@dataclass(frozen=True)
class Comparison:
    """A metric of two models on the same users; the difference is the first minus the other.

    Attributes:
        metric: such as 'recall@20'.
        one: mean of the first model over users and seeds.
        one_deviation: standard deviation of its mean over the seeds.
        other: mean of the other model.
        other_deviation: standard deviation of its mean over the seeds.
        difference: ``one - other``.
        low: lower end of the 95% confidence interval of the difference, over users.
        high: its upper end.
        t_test: p-value of the paired t-test over users.
        wilcoxon: p-value of Wilcoxon's signed-rank test over users; users without a difference are left out.
        users: number of users.
        seeds: number of seeds.
    """

    metric: str
    one: float
    one_deviation: float
    other: float
    other_deviation: float
    difference: float
    low: float
    high: float
    t_test: float
    wilcoxon: float
    users: int
    seeds: int


def paired_tests(metric: str, one: NDArray[np.float64], other: NDArray[np.float64]) -> Comparison:
    r"""Compare per-user values, averaged over the seeds first.

    .. math:: d_u = \frac{1}{S} \sum_s a_{su} - \frac{1}{S} \sum_s b_{su}, \qquad
        t = \frac{\bar{d}}{s_d / \sqrt{U}}

    Args:
        metric: its name.
        one: values of the first model.
        other: values of the other.

    Shapes:
        one, other: float ``[S, U]`` of S seeds and U users; the models may differ in S

    Raises:
        ValueError: where the users are not the same, or fewer than two.
    """
    from scipy import stats

    if one.shape[1] != other.shape[1] or one.shape[1] < 2:
        raise ValueError(f"'one' and 'other' must hold the same two users or more (got {one.shape} and {other.shape}).")
    difference = one.mean(axis=0) - other.mean(axis=0)
    equal = not difference.any()  # the tests are undefined there
    if np.ptp(difference) > 0:
        test = stats.ttest_1samp(difference, 0.0)
        (low, high), t_test = test.confidence_interval(0.95), float(test.pvalue)
    else:  # no spread at all: the interval is a point
        low = high = difference[0]
        t_test = 1.0 if equal else 0.0
    return Comparison(
        metric=metric,
        one=float(one.mean()),
        one_deviation=_deviation(one),
        other=float(other.mean()),
        other_deviation=_deviation(other),
        difference=float(difference.mean()),
        low=float(low),
        high=float(high),
        t_test=t_test,
        wilcoxon=1.0 if equal else float(stats.wilcoxon(difference).pvalue),
        users=one.shape[1],
        seeds=len(one),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    r"""Holm's correction for several tests: reject those whose corrected value is below the level.

    .. math:: \tilde{p}_{(i)} = \max_{j \le i} \min(1, (m - j + 1) \, p_{(j)})

    with :math:`p_{(1)} \le \dots \le p_{(m)}` ("A Simple Sequentially Rejective Multiple Test Procedure",
    Scandinavian Journal of Statistics, 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


@dataclass(frozen=True)
class Pair:
    """Two of several models.

    Attributes:
        one: name of the first.
        other: name of the other.
        comparison: the two, with the p-values of their own tests.
        t_test: p-value of the t-test, corrected for all pairs.
        wilcoxon: p-value of Wilcoxon's test, corrected for all pairs.
    """

    one: str
    other: str
    comparison: Comparison
    t_test: float
    wilcoxon: float

    def significant(self, level: float = 0.05) -> bool:
        """Whether both tests, which ask different questions, reject that there is no difference."""
        return self.t_test < level and self.wilcoxon < level


def pairwise_tests(metric: str, values: Mapping[str, NDArray[np.float64]]) -> list[Pair]:
    """Compare every two models; Holm's correction runs over all pairs, for each test by itself.

    Args:
        metric: its name.
        values: of every model, by its name.

    Shapes:
        values: float ``[S, U]`` of S seeds and U users
    """
    pairs = list(combinations(values, 2))
    found = [paired_tests(metric, values[one], values[other]) for one, other in pairs]
    t_tests, wilcoxons = holm([each.t_test for each in found]), holm([each.wilcoxon for each in found])
    return [
        Pair(one, other, comparison, t_test, wilcoxon)
        for (one, other), comparison, t_test, wilcoxon in zip(pairs, found, t_tests, wilcoxons, strict=True)
    ]


def compare(
    one: Experiment,
    other: Experiment,
    root: str | Path,
    *,
    seeds: int = 5,
    split: str = "test",
    ks: Sequence[int] = (10, 20),
    metrics: Sequence[str] = ("recall", "ndcg"),
) -> list[Comparison]:
    """Train both with ``seeds`` seeds from 0 on, and compare every metric.

    Args:
        one: the first run.
        other: the run it is compared with, on the same data.
        root: where the runs stand.
        seeds: how many.
        split: whose held-out pairs are ranked.
        ks: cut-offs.
        metrics: names of the metrics.

    Raises:
        ValueError: where the runs are not on the same data.
    """
    check_at_least(1, seeds=seeds)
    if one.data != other.data:
        raise ValueError(f"'other' must run on the data of 'one' (got '{other.data}' and '{one.data}').")
    values: list[dict[str, NDArray[np.float64]]] = []
    for experiment in (one, other):
        source = load_data(experiment.data, modalities=experiment.modalities, cache=Path(root) / ".cache")
        data = experiment.load(source)
        per_seed = []
        for seed in range(seeds):
            model = _trained(experiment, data, Path(root), seed)
            per_seed.append(evaluate_users(model, data, split=split, ks=ks, metrics=metrics).values)
        values.append({name: np.stack([row[name].double().numpy() for row in per_seed]) for name in per_seed[0]})
    return [paired_tests(name, values[0][name], values[1][name]) for name in values[0]]


def _trained(experiment: Experiment, data: HeteroData, root: Path, seed: int) -> Any:
    from drepm_pyg.training import load_run

    # Two runs of one model must not share a folder, and a changed run must not find the old one's result.
    key = hashlib.sha256(json.dumps(experiment.to_config(), sort_keys=True).encode()).hexdigest()[:8]
    name = f"{experiment.model_class.__name__.lower()}-{key}-seed{seed}"
    if (root / name / "result.json").exists():
        return load_run(root / name, data)
    seeded = Experiment.from_config({**experiment.to_config(), "seed": seed, "root": str(root), "name": name})
    return seeded.run(data, resume=True, progress=False).model


def _deviation(values: NDArray[np.float64]) -> float:
    return float(values.mean(axis=1).std(ddof=1)) if len(values) > 1 else float("nan")


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="python -m drepm_pyg.experiments.significance", description="Paired tests over users.")
    parser.add_argument("one", type=str, help="the YAML file of a run")
    parser.add_argument("other", type=str, help="the YAML file of the run it is compared with")
    parser.add_argument("--root", type=str, default="runs/significance", help="where the runs stand")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    args = parser.parse_args(argv)
    one, other = (Experiment.from_config(read_yaml(path)) for path in (args.one, args.other))
    rows = compare(one, other, args.root, seeds=args.seeds)
    print(_table(rows, one.model_class.__name__, other.model_class.__name__))


def _table(rows: Sequence[Comparison], one: str, other: str) -> str:
    header = ["metric", one, other, "difference (95% interval)", "t-test p", "Wilcoxon p", "users"]
    cells = [
        [
            row.metric,
            f"{row.one:.4f} ± {row.one_deviation:.4f}",
            f"{row.other:.4f} ± {row.other_deviation:.4f}",
            f"{row.difference:+.4f} ({row.low:+.4f} to {row.high:+.4f})",
            f"{row.t_test:.2g}",
            f"{row.wilcoxon:.2g}",
            row.users,
        ]
        for row in rows
    ]
    return markdown_table(header, cells)


if __name__ == "__main__":
    main()
