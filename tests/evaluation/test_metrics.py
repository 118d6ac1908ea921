"""The metrics, which are torch_geometric's, against their definitions: the proof that these may be used."""

import math

import pytest
import torch
from torch_geometric.metrics import LinkPredRecall

from drepm_pyg.evaluation import METRICS, TopK
from drepm_pyg.evaluation.metrics import UserMetrics
from tests.evaluation.plain_metrics import plain_metrics

ITEMS = 12


def measure(
    ranked: list[list[int]], targets: list[list[int]], ks: tuple[int, ...], block: int = 2
) -> dict[str, list[float]]:
    user = torch.arange(len(targets)) * 3  # users are ids, not rows
    pairs = torch.tensor([[3 * row, item] for row, items in enumerate(targets) for item in sorted(items)]).T
    metrics = UserMetrics(user, pairs, ITEMS, list(METRICS), ks)
    for ids in torch.tensor(ranked).split(block):
        metrics.update(TopK(torch.zeros(ids.shape), ids))
    return {name: values.tolist() for name, values in metrics.compute().items()}


def test_hand_worked() -> None:
    # Hits at ranks 2 and 3 of 3, of four targets.
    values = measure([[5, 1, 2]], [[1, 2, 7, 8]], (3,))
    log3, log4 = 1 / math.log2(3), 1 / math.log2(4)
    assert {name: value for name, (value,) in values.items()} == pytest.approx(
        {
            "recall@3": 2 / 4,
            "precision@3": 2 / 3,
            "hit_ratio@3": 1.0,
            "mrr@3": 1 / 2,
            "map@3": (1 / 2 + 2 / 3) / 3,
            "ndcg@3": (log3 + log4) / (1 + log3 + log4),
        }
    )


@pytest.mark.parametrize(("block", "at_once"), [(1, 1), (3, 7), (100, 7), (3, 8192)])
def test_every_metric_matches_its_definition(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch, block: int, at_once: int
) -> None:
    monkeypatch.setattr("drepm_pyg.evaluation.metrics._USERS_AT_ONCE", at_once)
    ranked = [torch.randperm(ITEMS, generator=generator)[:8].tolist() for _ in range(40)]
    sizes = torch.randint(1, ITEMS + 1, (40,), generator=generator).tolist()  # more targets than ranks, too
    targets = [torch.randperm(ITEMS, generator=generator)[:size].tolist() for size in sizes]
    values = measure(ranked, targets, (1, 3, 8), block)
    for k in (1, 3, 8):
        expected = [plain_metrics(*user, k) for user in zip(ranked, targets, strict=True)]
        for name in METRICS:
            assert values[f"{name}@{k}"] == pytest.approx([user[name] for user in expected], rel=1e-6)


def test_a_rank_without_an_item_is_no_hit() -> None:
    # The target of the first user is the last item, which -1 in the row of the second would name.
    values = measure([[0, 1], [ITEMS - 2, -1]], [[ITEMS - 1], [ITEMS - 1]], (2,), block=2)
    assert values["recall@2"] == [0.0, 0.0]


def test_the_trap_in_torch_geometric_is_still_there() -> None:
    """The day this fails, the replacement of -1 can go."""
    metric = LinkPredRecall(2)
    metric.update(torch.tensor([[0, 1], [2, -1]]), torch.tensor([[0, 1], [3, 0]]))
    assert float(metric.compute()) > 0
