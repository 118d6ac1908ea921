"""Cut-offs, mutual and symmetric graphs, and graphs within a batch: each against its definition on the plain graph."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from drepm_pyg.graph import knn, knn_graph, knn_graphs, user_knn_graph
from tests.graph.dense_reference import scores_float64

METRICS = ("cosine", "ip", "l2")


def edges(edge_index: Tensor) -> set[tuple[int, int]]:
    return set(zip(*edge_index.tolist(), strict=True))


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    x = torch.randn(80, 6, generator=generator, dtype=torch.float64)
    x[::9] = x[0]
    x[5] = 0
    return x


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_a_cut_off_drops_what_is_too_far_and_keeps_the_order(x: Tensor, metric: str, loop: bool) -> None:
    edge_index, weight = knn_graph(x, 7, metric=metric, loop=loop, return_weight=True)
    limit = float(weight.median())
    option = {"radius": limit} if metric == "l2" else {"min_similarity": limit}
    kept = weight <= limit if metric == "l2" else weight >= limit
    found, found_weight = knn_graph(x, 7, metric=metric, loop=loop, return_weight=True, **option)
    assert 0 < found.size(1) < edge_index.size(1)
    assert torch.equal(found, edge_index[:, kept])
    assert torch.equal(found_weight, weight[kept])
    assert torch.equal(knn_graph(x, 7, metric=metric, loop=loop, **option), found)


@pytest.mark.parametrize("metric", METRICS)
def test_the_weight_of_an_edge_is_a_limit_that_keeps_it(x: Tensor, metric: str) -> None:
    edge_index, weight = knn_graph(x, 7, metric=metric, return_weight=True)
    for limit in weight[:100].tolist():  # the squares of some distances are rounded down
        option = {"radius": limit} if metric == "l2" else {"min_similarity": limit}
        kept = weight <= limit if metric == "l2" else weight >= limit
        assert torch.equal(knn_graph(x, 7, metric=metric, **option), edge_index[:, kept])


def test_a_limit_is_part_of_the_graph(x: Tensor) -> None:
    square = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 5.0], [100.0, 0.0]])
    assert edges(knn_graph(square, 2, metric="l2", radius=5.0)) == {(1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2)}
    duplicates = torch.tensor([[1.0, 2.0], [2.0, 4.0], [1.0, 0.0]])
    assert edges(knn_graph(duplicates, 2, min_similarity=1.0)) == {(1, 0), (0, 1)}


@pytest.mark.parametrize("metric", METRICS)
def test_mutual_edges_are_those_that_both_ends_chose(x: Tensor, metric: str) -> None:
    plain = edges(knn_graph(x, 5, metric=metric))
    expected = {(a, b) for a, b in plain if (b, a) in plain}
    mutual = knn_graph(x, 5, metric=metric, mutual=True)
    assert edges(mutual) == expected
    assert torch.equal(mutual, knn_graph(x, 5, metric=metric, symmetric="intersection"))


@pytest.mark.parametrize("metric", METRICS)
def test_the_union_has_every_edge_both_ways_best_first(x: Tensor, metric: str) -> None:
    plain = edges(knn_graph(x, 5, metric=metric))
    union, weight = knn_graph(x, 5, metric=metric, symmetric="union", return_weight=True)
    assert edges(union) == plain | {(b, a) for a, b in plain}
    assert union.size(1) == len(edges(union))
    score = scores_float64(x, metric)[union[1], union[0]]
    expected = np.lexsort((union[0].numpy(), -np.round(score, 9), union[1].numpy()))
    assert (np.diff(union[1].numpy()) >= 0).all()
    np.testing.assert_allclose(score[expected], score, atol=1e-9)
    forward = dict(zip(zip(*union.tolist(), strict=True), weight.tolist(), strict=True))
    assert all(forward[a, b] == pytest.approx(forward[b, a], abs=1e-12) for a, b in forward)


def test_users_take_the_same_options(x: Tensor) -> None:
    pairs = torch.stack(
        [torch.arange(200) % 50, torch.randint(0, 80, (200,), generator=torch.Generator().manual_seed(0))]
    )
    plain = edges(user_knn_graph(x, pairs, 50, 4))
    assert edges(user_knn_graph(x, pairs, 50, 4, mutual=True)) == {(a, b) for a, b in plain if (b, a) in plain}
    _, weight = user_knn_graph(x, pairs, 50, 4, min_similarity=0.8, return_weight=True)
    assert (weight >= 0.8).all()
    assert 0 < len(weight) < 200


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(METRICS), st.booleans(), st.integers(1, 12))
def test_a_batch_is_its_graphs_one_by_one(seed: int, metric: str, loop: bool, groups: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randint(-2, 3, (40, 3), generator=rng).float()
    batch = torch.randint(0, groups, (40,), generator=rng) * 7 - 3  # any numbers, in any order
    mask = torch.rand(40, generator=rng) > 0.2
    parts = []
    for graph in batch.unique():
        ids = torch.nonzero((batch == graph) & mask).flatten()
        k = min(4, len(ids) if loop else len(ids) - 1)
        if k > 0:
            parts.append(ids[knn_graph(x[ids], k, metric=metric, loop=loop)])
    expected = torch.cat(parts, dim=1)
    expected = expected[:, expected[1].argsort(stable=True)]
    assert torch.equal(knn_graph(x, 4, metric=metric, loop=loop, batch=batch, mask=mask), expected)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("loop", [False, True])
def test_small_graphs_by_pairs_are_what_searches_find(metric: str, loop: bool, generator: torch.Generator) -> None:
    sizes = torch.tensor([1, 2, 30, 7, 200, 30, 3])  # the one of 200 rows is searched by itself
    batch = torch.arange(len(sizes)).repeat_interleave(sizes)[torch.randperm(int(sizes.sum()), generator=generator)]
    x = torch.randn(len(batch), 8, generator=generator)
    x[::5] = x[0]  # the same row in many graphs
    found, weight, info = knn_graph(x, 4, metric=metric, loop=loop, batch=batch, return_weight=True, return_info=True)
    for index, budget in (("gram", 1 << 30), ("blocks", 1 << 30), ("exact", 1 << 18)):
        other, other_weight = knn_graph(
            x, 4, metric=metric, loop=loop, batch=batch, index=index, memory_budget=budget, return_weight=True
        )
        assert torch.equal(found, other)
        assert torch.equal(weight, other_weight)
    assert info.exact
    few = batch != 4
    alone = knn_graph(x[few], 4, metric=metric, loop=loop, batch=batch[few], return_info=True)
    assert alone[1].index == "pairs"
    assert torch.equal(torch.arange(len(x))[few][alone[0]], found[:, few[found[1]]])


@pytest.mark.parametrize("batch", [None, torch.zeros(3, dtype=torch.long)])
def test_a_row_ties_with_its_duplicates_by_inner_product(batch: Tensor | None, generator: torch.Generator) -> None:
    """The score of a row with itself is that of a pair of such rows to the bit, also of more columns than one panel."""
    for row in torch.randn(20, 1, 130, generator=generator):
        x = row.expand(3, -1)
        chosen = knn_graph(x, 2, metric="ip", loop=True, batch=batch)
        assert chosen.tolist() == [[0, 1, 0, 1, 0, 2], [0, 0, 1, 1, 2, 2]]
        both_ways = knn_graph(x, 2, metric="ip", loop=True, batch=batch, symmetric="union")
        assert both_ways.tolist() == [[0, 1, 2, 0, 1, 0, 2], [0, 0, 0, 1, 1, 2, 2]]


def test_a_batch_of_single_rows_has_no_edges() -> None:
    edge_index, info = knn_graph(torch.eye(3), 2, batch=torch.arange(3), return_info=True)
    assert edge_index.shape == (2, 0)
    assert info.seconds == 0
    assert knn_graph(torch.zeros(0, 3), 2, batch=torch.zeros(0, dtype=torch.long)).shape == (2, 0)


def test_weights_of_a_batch_are_on_one_scale() -> None:
    x = torch.tensor([[1.0], [2.0], [1000.0], [3000.0]])
    batch = torch.tensor([0, 0, 1, 1])
    assert knn_graph(x, 1, metric="l2", batch=batch, return_weight=True)[1].tolist() == [1, 1, 2000, 2000]


def test_modalities_in_one_call(x: Tensor) -> None:
    mask = torch.arange(80) % 3 != 0
    graphs = knn_graphs({"text": x, "image": x[:, :2]}, 3, masks={"image": mask}, metric="l2")
    assert torch.equal(graphs["text"], knn_graph(x, 3, metric="l2"))
    assert torch.equal(graphs["image"], knn_graph(x[:, :2], 3, metric="l2", mask=mask))
    batch = torch.arange(80) // 20
    edge_index, weight = knn_graphs({"text": x}, 3, return_weight=True, batch=batch)["text"]
    expected, expected_weight = knn_graph(x, 3, return_weight=True, batch=batch)
    assert torch.equal(edge_index, expected)
    assert torch.equal(weight, expected_weight)


@pytest.mark.errors
class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"mutual": True, "symmetric": "union"}, "'mutual' must be False"),
            ({"symmetric": "both"}, "'symmetric' must be one of 'none', 'union', 'intersection'"),
            ({"metric": "l2", "min_similarity": 0.5}, "Pass 'radius'"),
            ({"radius": 0.5}, "Pass 'min_similarity'"),
            ({"metric": "l2", "radius": -1.0}, r"'radius' must be at least 0 \(got -1.0\)"),
            ({"min_similarity": float("nan")}, "'min_similarity' must be a number"),
            ({"target_recall": 1.5, "index": "ivf"}, r"'target_recall' must lie in \[0, 1\]"),
            ({"target_recall": 0.9, "index": "flat"}, r"tunes approximate indexes \(got 'flat'"),
            ({"measure_recall": -1}, "'measure_recall' must be at least 0"),
            ({"batch": torch.zeros(4, dtype=torch.long)}, r"one entry per row of features, \[80\] \(got \[4\]\)"),
        ],
    )
    def test_options(self, x: Tensor, options: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            knn_graph(x, 3, **options)

    def test_a_batch_of_floats(self, x: Tensor) -> None:
        with pytest.raises(TypeError, match="'batch' must be a long tensor"):
            knn_graph(x, 3, batch=torch.zeros(80))

    def test_the_modality_at_fault_is_named(self, x: Tensor) -> None:
        with pytest.raises(ValueError, match=r"features\['image'\]: 'x' holds NaN or infinite values in 80 of 80 rows"):
            knn_graphs({"text": x, "image": x * torch.nan}, 3)
        with pytest.raises(TypeError, match=r"features\['image'\]: 'x' must hold floating-point features"):
            knn_graphs({"text": x, "image": x.long()}, 3)
        with pytest.raises(TypeError, match=r"'mask' is no option of knn_graphs\. Pass 'masks'"):
            knn_graphs({"text": x}, 3, mask=torch.ones(len(x), dtype=torch.bool))
        for name in ("return_info", "neighbours"):
            with pytest.raises(TypeError, match=f"'{name}' is no option of knn_graphs"):
                knn_graphs({"text": x}, 3, **{name: True})
        with pytest.raises(TypeError, match=r"'features' must be a mapping from modalities to matrices \(got Tensor\)"):
            knn_graphs(x, 3)  # type: ignore[call-overload]

    def test_a_mask_without_features(self, x: Tensor) -> None:
        with pytest.raises(ValueError, match="'a key of masks' must be one of 'text'"):
            knn_graphs({"text": x}, 3, masks={"image": torch.ones(80, dtype=torch.bool)})

    @pytest.mark.parametrize(
        ("more", "error", "message"),
        [
            ({"return_weight": 1}, TypeError, r"'return_weight' must be True or False \(got 1\)"),
            ({"metric": "z"}, ValueError, "'metric' must be one of"),
            (
                {"masks": torch.ones(80, dtype=torch.bool)},
                TypeError,
                "'masks' must be a mapping from modalities to masks",
            ),
        ],
    )
    def test_options_of_several(self, x: Tensor, more: dict[str, Any], error: type[Exception], message: str) -> None:
        for features in ({"text": x}, {}):
            with pytest.raises(error, match=message):
                knn_graphs(features, 3, **more)

    def test_k_of_no_modality(self) -> None:
        with pytest.raises(ValueError, match=r"'k' must be at least 1 \(got 0\)"):
            knn_graphs({}, 0)

    def test_modalities_of_other_rows(self, x: Tensor) -> None:
        with pytest.raises(ValueError, match=r"as many rows for every modality \(got \{'text': 80, 'image': 70\}\)"):
            knn_graphs({"text": x, "image": x[:70]}, 3)

    def test_no_modality_is_searched_before_all_are_checked(self, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(knn, "find", None)
        with pytest.raises(ValueError, match=r"features\['image'\]: 'k' must be at most the number of other rows, 1"):
            knn_graphs({"text": x, "image": x}, 3, masks={"image": torch.arange(80) < 2})
