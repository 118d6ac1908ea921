"""knn_graph: the exact graph, whatever the input looks like and however it is computed."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from drepm_pyg.graph import KNNInfo, bipartite_knn_graph, extend_knn_graph, knn_graph
from tests.graph.dense_reference import assert_exact, knn_edges, scores_float64

METRICS = ("cosine", "ip", "l2")


def features(kind: str, n: int = 120, width: int = 9, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, width))
    if kind == "clustered":
        x = x[rng.integers(0, 4, n)] + 1e-3 * rng.standard_normal((n, width))
    if kind == "tight":
        x = x[:1] + 1e-6 * x
    if kind == "duplicated":
        x = x[rng.integers(0, n // 5, n)]
    if kind == "zero rows":
        x[rng.random(n) < 0.4] = 0
    if kind == "outlier":
        x[n // 2] *= 1e5
    if kind == "far from 0":
        x += 1e3
    return x.astype(np.float32)


KINDS = ("random", "clustered", "tight", "duplicated", "zero rows", "outlier", "far from 0")


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        # (1,0) (2,0) (0,1) (1,1): cosines to the last are 1/sqrt 2 thrice, to the first 1, 0, 1/sqrt 2
        ("cosine", [[1, 3], [0, 3], [3, 0], [0, 1]]),
        # inner products: 2 0 1 / 2 0 2 / 0 0 1 / 1 2 1
        ("ip", [[1, 3], [0, 3], [3, 0], [1, 0]]),
        # squared distances: 1 2 1 / 1 5 2 / 2 5 1 / 1 2 1
        ("l2", [[1, 3], [0, 3], [3, 0], [0, 2]]),
    ],
)
def test_hand_worked_graph(metric: str, expected: list[list[int]]) -> None:
    x = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    edge_index = knn_graph(x, 2, metric=metric)
    assert edge_index.dtype == torch.long
    assert edge_index[0].tolist() == list(itertools.chain(*expected))
    assert edge_index[1].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_exact_on_every_kind_of_features(kind: str, metric: str, loop: bool) -> None:
    x = features(kind)
    for k in (1, 10, len(x) - 1):
        assert_exact(knn_graph(x, k, metric=metric, loop=loop), x, k, metric, loop)


@settings(max_examples=150, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.integers(2, 14), st.integers(1, 4)), elements=st.integers(-2, 2).map(float)),
    st.sampled_from(METRICS),
    st.booleans(),
    st.data(),
)
def test_ties_go_to_the_smaller_id(x: np.ndarray, metric: str, loop: bool, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(x) - 1 + loop))
    assert torch.equal(knn_graph(x, k, metric=metric, loop=loop), knn_edges(x, k, metric, loop))


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.integers(2, 10), st.integers(1, 3)), elements=st.floats(-1e3, 1e3, width=32)),
    st.sampled_from(METRICS),
    st.booleans(),
)
def test_exact_on_arbitrary_floats(x: np.ndarray, metric: str, loop: bool) -> None:
    assert_exact(knn_graph(x, 1, metric=metric, loop=loop), x, 1, metric, loop)


def test_exact_on_more_rows_than_one_block() -> None:
    x = features("clustered", n=3000, width=24)
    assert_exact(knn_graph(x, 3), x, 3)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_block_size_changes_nothing(kind: str, metric: str) -> None:
    x = features(kind, n=300, width=24)
    whole, info = knn_graph(x, 7, metric=metric, return_info=True)
    blocks, blocks_info = knn_graph(x, 7, metric=metric, return_info=True, memory_budget=10_000)
    assert (info.index, blocks_info.index) == ("gram", "blocks")
    assert torch.equal(whole, blocks)


def test_thread_count_changes_nothing() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    x = features("tight", n=800, width=64)
    x[::7] = features("random", n=800, width=64)[::7]
    before = torch.get_num_threads()
    graphs = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        with threadpoolctl.threadpool_limits(threads):
            graphs.append(knn_graph(x, 5, return_weight=True))
    torch.set_num_threads(before)
    assert torch.equal(graphs[0][0], graphs[1][0])
    assert torch.equal(graphs[0][1], graphs[1][1])


def test_scores_that_float32_cannot_tell_apart_are_ordered() -> None:
    # Angles of 1e-4 apart differ by 5e-9 in the cosine, a tenth of float32's resolution at 1.
    angle = torch.tensor([0.0, 3e-4, 1e-4, 2e-4], dtype=torch.float64)
    x = torch.stack([angle.cos(), angle.sin()], dim=1)
    assert knn_graph(x, 3)[0, :3].tolist() == [2, 3, 1]


@pytest.mark.parametrize("metric", METRICS)
def test_rows_may_be_permuted(metric: str) -> None:
    x = torch.from_numpy(features("random"))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    neighbour, _ = knn_graph(x, 5, metric=metric).view(2, -1, 5)
    permuted, _ = knn_graph(x[order], 5, metric=metric).view(2, -1, 5)
    assert torch.equal(order[permuted], neighbour[order])


def test_without_loop_a_node_never_meets_itself_among_duplicates() -> None:
    edge_index = knn_graph(torch.ones(5, 3), 3)
    assert edge_index[0].view(5, 3).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2]]


def test_with_loop_a_node_is_always_among_its_neighbours() -> None:
    edge_index = knn_graph(torch.ones(5, 3), 2, loop=True)
    assert edge_index[0].view(5, 2).tolist() == [[0, 1], [0, 1], [0, 2], [0, 3], [0, 4]]
    # The inner product with the long row exceeds that with oneself.
    x = torch.tensor([[1.0, 0.0], [9.0, 0.0], [8.0, 0.0]])
    assert knn_graph(x, 1, metric="ip", loop=True)[0].tolist() == [0, 1, 2]
    assert knn_graph(x, 2, metric="ip", loop=True)[0].view(3, 2).tolist() == [[1, 0], [1, 2], [1, 2]]


def test_a_zero_row_ties_with_everything() -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0], [1.0, 1.0]])
    neighbour = knn_graph(x, 3)[0].view(4, 3)
    assert neighbour.tolist() == [[3, 1, 2], [0, 2, 3], [1, 3, 0], [0, 1, 2]]


def test_negative_zero_is_zero() -> None:
    x = torch.tensor([[1.0, 0.0], [1.0, -0.0], [0.0, 1.0]])
    assert knn_graph(x, 1)[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("metric", METRICS)
def test_masked_rows_take_no_part_and_are_not_read(metric: str) -> None:
    x = torch.from_numpy(features("duplicated", n=40))
    mask = torch.rand(40, generator=torch.Generator().manual_seed(0)) < 0.6
    present = mask.nonzero().flatten()
    expected = present[knn_graph(x[present], 4, metric=metric)]
    x[~mask] = torch.nan
    assert torch.equal(knn_graph(x, 4, metric=metric, mask=mask), expected)
    assert torch.equal(knn_graph(x, 4, metric=metric, mask=mask.numpy()), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_dtype_is_taken_at_its_word(dtype: torch.dtype) -> None:
    x = torch.from_numpy(features("random")).to(dtype)
    edge_index, weight = knn_graph(x, 6, return_weight=True)
    assert torch.equal(edge_index, knn_graph(x.double(), 6))
    assert weight.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_arrays_memory_maps_and_strides_give_the_tensor_s_graph(tmp_path: Path) -> None:
    x = features("random", n=80).astype(np.float16)
    expected = knn_graph(torch.from_numpy(x), 5)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    wide = np.repeat(x, 2, axis=1)
    for form in (x, mapped, np.asfortranarray(x), wide[:, ::2], x.astype(">f4"), torch.from_numpy(wide)[:, ::2]):
        assert torch.equal(knn_graph(form, 5), expected)
    assert torch.equal(knn_graph(mapped, 5, memory_budget=5_000), expected)
    assert knn_graph(x.astype(">f8"), 5, return_weight=True)[1].dtype == torch.float64


@pytest.mark.parametrize("metric", METRICS)
def test_one_row_may_lie_backwards(metric: str) -> None:
    x = features("random", n=3)[::-1][:1]
    assert x.flags.c_contiguous
    assert x.strides[0] < 0
    assert knn_graph(x, 1, metric=metric, loop=True).tolist() == [[0], [0]]


@pytest.mark.errors
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int32])
def test_numpy_s_narrow_integers_are_numbers(kind: type) -> None:
    x = torch.from_numpy(features("random", n=300))
    k, group = kind(100), torch.arange(300) // 150
    assert torch.equal(knn_graph(x, k), knn_graph(x, 100))
    assert torch.equal(knn_graph(x, k, batch=group), knn_graph(x, 100, batch=group))
    assert torch.equal(bipartite_knn_graph(x, x[:5], k), bipartite_knn_graph(x, x[:5], 100))
    assert torch.equal(extend_knn_graph(knn_graph(x[:200], 100), x[:200], x[200:], k), knn_graph(x, 100))


def test_the_input_is_left_alone() -> None:
    x = torch.from_numpy(features("random")).double().requires_grad_()
    before = x.detach().clone()
    edge_index, weight = knn_graph(x, 3, metric="l2", return_weight=True)
    assert torch.equal(x, before)
    assert not weight.requires_grad
    assert edge_index.device == x.device


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_no_overflow_and_no_underflow(metric: str, factor: float) -> None:
    x = features("random")
    assert torch.equal(knn_graph(x * np.float32(factor), 4, metric=metric), knn_graph(x, 4, metric=metric))


def test_the_cosine_does_not_care_for_length() -> None:
    x = features("random", n=60).astype(np.float64)
    # Powers of two scale exactly.
    scale = 2.0 ** np.random.default_rng(0).integers(-250, 250, (60, 1))
    assert torch.equal(knn_graph(x * scale, 4), knn_graph(x, 4))


@pytest.mark.parametrize("more", [{"index": "gram"}, {"index": "blocks"}, {"batch": torch.zeros(6, dtype=torch.long)}])
def test_rows_whose_squares_vanish_have_a_direction(more: dict[str, Any]) -> None:
    x = features("random", n=6).astype(np.float64)
    x[3:] = x[:3] * 2.0**-550  # the squares are below the smallest float64
    assert knn_graph(x, 1, **more)[0].tolist() == [3, 4, 5, 0, 1, 2]
    edge_index, weight = knn_graph(x, 2, loop=True, return_weight=True, **more)
    assert edge_index[0].tolist() == 2 * [0, 3, 1, 4, 2, 5]
    assert weight.tolist() == 12 * [1.0]


def test_weights_are_the_scores() -> None:
    x = torch.tensor([[3.0, 4.0], [4.0, 3.0], [3.0, 0.0]])
    assert knn_graph(x, 2, return_weight=True)[1].tolist() == pytest.approx([0.96, 0.6, 0.96, 0.8, 0.8, 0.6])
    assert knn_graph(x, 2, metric="ip", return_weight=True)[1].tolist() == [24, 9, 24, 12, 12, 9]
    expected = [2**0.5, 4, 2**0.5, 10**0.5, 10**0.5, 4]
    assert knn_graph(x, 2, metric="l2", return_weight=True)[1].tolist() == pytest.approx(expected)


def test_the_weight_of_equal_rows_is_exactly_one() -> None:
    x = torch.from_numpy(features("duplicated"))
    _, weight = knn_graph(x.double(), 1, loop=True, return_weight=True)
    assert (weight == 1).all()


def test_asking_for_weights_does_not_change_the_graph() -> None:
    for kind in KINDS:
        x = features(kind)
        assert torch.equal(knn_graph(x, 5), knn_graph(x, 5, return_weight=True)[0])


def test_one_node() -> None:
    assert knn_graph(torch.ones(1, 2), 1, loop=True).tolist() == [[0], [0]]


def test_all_nodes_are_neighbours() -> None:
    x = features("random", n=6)
    assert knn_graph(x, 6, loop=True)[0].view(6, 6).sort(dim=1).values.tolist() == [list(range(6))] * 6
    assert knn_graph(x, 5)[0].view(6, 5).sort(dim=1).values[2].tolist() == [0, 1, 3, 4, 5]


@pytest.mark.errors  # the shape checker refuses them, as the annotation says int
def test_numpy_integers_count() -> None:
    x = features("random", n=6)
    assert torch.equal(knn_graph(x, np.int64(2)), knn_graph(x, 2))


def test_info_says_what_was_done() -> None:
    edge_index, weight, info = knn_graph(features("random"), 3, return_weight=True, return_info=True)
    assert isinstance(info, KNNInfo)
    assert (info.index, info.metric, info.exact, info.device, info.recall) == ("gram", "cosine", True, "cpu", None)
    assert 0 < info.seconds < 60
    assert 0 < info.rescored <= edge_index.size(1) * 6
    assert weight.shape == edge_index[0].shape


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_rows_far_away_leave_the_others_their_resolution(metric: str) -> None:
    x = torch.randn(1000, 64, generator=torch.Generator().manual_seed(0))
    x[[7, 500]] *= torch.tensor([[1e6], [1e4]])
    edge_index, info = knn_graph(x, 5, metric=metric, return_info=True)
    assert info.searched_again < 50
    scores = torch.from_numpy(scores_float64(x.double().numpy(), metric)).fill_diagonal_(-torch.inf)
    assert torch.equal(edge_index[0].view(1000, 5), scores.topk(5, dim=1).indices)


def test_near_ties_beyond_the_shortlist_are_searched_again() -> None:
    _, info = knn_graph(features("tight", n=300), 3, index="gram", return_info=True)
    assert info.searched_again > 0


def test_rows_without_a_common_column_tie_at_zero_without_further_work() -> None:
    edge_index, info = knn_graph(torch.eye(200), 3, return_info=True)
    assert edge_index[0].view(200, 3)[[0, 1, 2, 3, 199]].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], *[[0, 1, 2]] * 2]
    assert info.rescored <= 200


def test_equal_rows_cost_nothing() -> None:
    edge_index, info = knn_graph(np.zeros((5000, 4), np.float32), 3, return_info=True)
    assert edge_index.shape == (2, 15000)
    assert info.rescored == 0


@pytest.mark.errors
class TestErrors:
    def test_k_above_the_number_of_rows(self) -> None:
        with pytest.raises(ValueError, match=r"'k' must be at most the number of rows, 8 \(got k=10 for 8 rows"):
            knn_graph(torch.rand(8, 2), 10, loop=True)
        with pytest.raises(ValueError, match=r"'k' must be at most the number of other rows, 7 \(got k=8 for 8 rows"):
            knn_graph(torch.rand(8, 2), 8)

    def test_k_above_the_number_of_present_rows(self) -> None:
        mask = torch.tensor([True, True, False, False])
        with pytest.raises(ValueError, match=r"other rows, 1 \(got k=2 for 2 rows with features, loop=False\)"):
            knn_graph(torch.rand(4, 2), 2, mask=mask)
        with pytest.raises(ValueError, match=r"number of rows, 0 \(got k=1"):
            knn_graph(torch.rand(4, 2), 1, loop=True, mask=torch.zeros(4, dtype=torch.bool))

    def test_k_that_is_no_count(self) -> None:
        with pytest.raises(ValueError, match=r"'k' must be at least 1 \(got 0\)"):
            knn_graph(torch.rand(4, 2), 0)
        with pytest.raises(TypeError, match=r"'k' must be an integer \(got 2.0, a float\)"):
            knn_graph(torch.rand(4, 2), 2.0)

    @pytest.mark.parametrize("option", ["min_similarity", "radius", "target_recall"])
    def test_numbers_in_words(self, option: str) -> None:
        with pytest.raises(TypeError, match=rf"'{option}' must be a number \(got '0.3', a str\)"):
            knn_graph(torch.rand(4, 2), 2, **{option: "0.3"})

    def test_a_tensor_without_values(self) -> None:
        with pytest.raises(TypeError, match="'x' must hold values"):
            knn_graph(torch.rand(4, 2, device="meta"), 2)

    def test_nan_and_infinity_name_their_rows(self) -> None:
        x = torch.rand(9, 2)
        x[4, 1], x[7, 0] = torch.nan, -torch.inf
        with pytest.raises(ValueError, match=r"'x' holds NaN or infinite values in 2 of 9 rows \(first: \[4, 7\]\)"):
            knn_graph(x, 1)

    def test_nan_behind_the_mask_of_others(self) -> None:
        x = np.ones((5, 2), np.float32)
        x[3] = np.nan
        with pytest.raises(ValueError, match=r"1 of 5 rows \(first: \[3\]\)"):
            knn_graph(x, 1, mask=np.array([False, True, True, True, True]))

    def test_shapes(self) -> None:
        with pytest.raises(ValueError, match=r"'x' must have the shape \[N, F\] .* \(got \[3\]\)"):
            knn_graph(torch.rand(3), 1)
        with pytest.raises(ValueError, match=r"\(got \[3, 0\]\)"):
            knn_graph(torch.rand(3, 0), 1)
        with pytest.raises(ValueError, match=r"'mask' must have one entry per row of features, \[3\] \(got \[2\]\)"):
            knn_graph(torch.rand(3, 2), 1, mask=torch.ones(2, dtype=torch.bool))

    def test_types(self) -> None:
        with pytest.raises(TypeError, match=r"'x' must be a torch tensor or a NumPy array \(got list\)"):
            knn_graph([[1.0]], 1)
        with pytest.raises(TypeError, match=r"'x' must hold floating-point features \(got torch.int64\)"):
            knn_graph(torch.ones(3, 2, dtype=torch.long), 1)
        with pytest.raises(TypeError, match=r"'x' must be dense"):
            knn_graph(torch.eye(3).to_sparse(), 1)
        with pytest.raises(TypeError, match=r"'mask' must be boolean"):
            knn_graph(torch.rand(3, 2), 1, mask=torch.ones(3))

    def test_types_that_would_be_misread(self) -> None:
        with pytest.raises(TypeError, match=r"'x' must hold floating-point features \(got torch.float8_e4m3fn\)"):
            knn_graph(torch.rand(3, 2).to(torch.float8_e4m3fn), 1)
        with pytest.raises(TypeError, match=r"'x' must be a torch tensor or a NumPy array \(got MaskedArray\)"):
            knn_graph(np.ma.masked_array(np.eye(3), np.eye(3) > 0), 1)

    @pytest.mark.parametrize("device", ["xla", "gpu", "meta"])
    @pytest.mark.parametrize("index", ["auto", "ivf"])
    def test_a_device_that_is_not_there(self, device: str, index: str) -> None:
        with pytest.raises(ValueError, match=rf"'device' must be one that this torch can use.* \(got '{device}': "):
            knn_graph(torch.rand(3, 2), 1, device=device, index=index)

    def test_options(self) -> None:
        with pytest.raises(ValueError, match=r"'metric' must be one of 'cosine', 'ip', 'l2' \(got 'dot'\)"):
            knn_graph(torch.rand(3, 2), 1, metric="dot")
        with pytest.raises(ValueError, match=r"'memory_budget' must be at least 1"):
            knn_graph(torch.rand(3, 2), 1, memory_budget=0)


def test_a_budget_of_nothing_still_ends(generator: torch.Generator) -> None:
    """Blocks of single rows would take a product for every pair."""
    x = torch.randn(300, 40, generator=generator)
    assert torch.equal(knn_graph(x, 10, index="blocks", memory_budget=1), knn_graph(x, 10))


@pytest.mark.errors
@pytest.mark.parametrize("option", ["loop", "mutual", "return_weight", "return_info", "distributed"])
def test_a_word_is_no_flag(option: str) -> None:
    with pytest.raises(TypeError, match=rf"'{option}' must be True or False \(got 'false'\)"):
        knn_graph(torch.eye(4), 1, **{option: "false"})


@pytest.mark.errors
@pytest.mark.parametrize(("option", "value"), [("metric", ["l2"]), ("device", [])])
def test_a_list_is_no_word(option: str, value: list[str]) -> None:
    with pytest.raises(ValueError, match=f"'{option}' must be one"):
        knn_graph(torch.eye(4), 1, **{option: value})


@pytest.mark.parametrize("index", ["gram", "blocks", "kdtree"])
def test_a_row_without_a_direction_has_the_smallest_ids_however_many_rows_there_are(
    index: str, generator: torch.Generator
) -> None:
    x = torch.randn(3000, 8, generator=generator)
    x[5] = 0
    edge_index = knn_graph(x, 3, index=index)
    assert edge_index[0, edge_index[1] == 5].tolist() == [0, 1, 2]


def test_parallel_rows_have_a_cosine_of_one_and_tie() -> None:
    x = torch.rand(400, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    edge_index, weight = knn_graph(torch.cat([x, 3 * x, 7 * x]), 2, return_weight=True)
    assert weight.max() <= 1
    near = edge_index[0].view(-1, 2)
    assert near[0].tolist() == [400, 800]
    assert near[400].tolist() == [0, 800]
