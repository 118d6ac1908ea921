"""Both convolutions: dense references, every form of adjacency, equivariance, gradients."""

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Optional

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import forward_ad
from torch_geometric import EdgeIndex
from torch_geometric.nn import HeteroConv, LGConv, MaxAggregation

from drepm_pyg.nn import KNNGraphConv, LightGCNConv, SparseStructure, graph_structure
from drepm_pyg.typing import OptTensor

N, D, E = 12, 5, 40
CONVS = [LightGCNConv, KNNGraphConv]
FORMS = ["edge_index", "EdgeIndex", "coo", "csr", "csc", pytest.param("SparseTensor", marks=pytest.mark.sparse)]


@pytest.fixture
def graph(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Distinct edges; node 11 is isolated, node 10 only sends, node 9 only receives."""
    cells = torch.randperm(11 * 11, generator=generator)[:E]
    edge_index = torch.stack([cells // 11, cells % 11])
    edge_index = edge_index[:, (edge_index[1] != 10) & (edge_index[0] != 9)]
    return edge_index, torch.rand(edge_index.size(1), generator=generator, dtype=torch.float64) + 0.5


def dense(x: np.ndarray, edge_index: Tensor, weight: Tensor | None, normalize: bool = True) -> np.ndarray:
    a = np.zeros((len(x), len(x)))
    for edge, (source, target) in enumerate(edge_index.T.tolist()):
        a[target, source] += 1.0 if weight is None else weight[edge].item()
    if not normalize:
        return a @ x
    degree = a.sum(1)  # at the target, for both ends
    scale = np.array([d**-0.5 if d > 0 else 0.0 for d in degree])
    return scale[:, None] * a * scale[None, :] @ x


def arguments(form: str, edge_index: Tensor, weight: Tensor | None, size: tuple[int, int]) -> tuple[object, ...]:
    """What a convolution is called with for one form of the same graph; sparse forms are adj_t."""
    if form == "edge_index":
        return edge_index, weight
    if form == "EdgeIndex":
        return EdgeIndex(edge_index, sparse_size=size), weight
    values = torch.ones(edge_index.size(1), dtype=torch.float64) if weight is None else weight
    if form == "SparseTensor":
        sparse = pytest.importorskip("torch_sparse")
        return (sparse.SparseTensor(row=edge_index[1], col=edge_index[0], value=values, sparse_sizes=size[::-1]),)
    coo = torch.sparse_coo_tensor(edge_index.flip(0), values, size[::-1]).coalesce()
    return ({"coo": lambda: coo, "csr": coo.to_sparse_csr, "csc": coo.to_sparse_csc}[form](),)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_every_form_matches_the_dense_product(
    graph: tuple[Tensor, Tensor], form: str, conv: type, normalize: bool, weighted: bool, generator: torch.Generator
) -> None:
    edge_index, weight = graph[0], graph[1] if weighted else None
    x = torch.randn(N, D, generator=generator, dtype=torch.float64)
    expected = dense(x.numpy(), edge_index, weight, normalize)
    out = conv(normalize)(x, *arguments(form, edge_index, weight, (N, N)))
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)
    single = None if weight is None else weight.float()
    out = conv(normalize)(x.float(), *arguments(form, edge_index, single, (N, N)))
    assert out.dtype == torch.float32
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("conv", CONVS)
def test_gradients_are_those_of_the_dense_product(
    graph: tuple[Tensor, Tensor], form: str, conv: type, generator: torch.Generator
) -> None:
    adjacency = arguments(form, *graph, (N, N))
    x = torch.randn(N, D, generator=generator, dtype=torch.float64, requires_grad=True)
    layer = conv()
    assert torch.autograd.gradcheck(lambda x: layer(x, *adjacency), (x,))
    assert torch.autograd.gradgradcheck(lambda x: layer(x, *adjacency), (x,))


@pytest.mark.parametrize("form", ["edge_index", "EdgeIndex"])
@pytest.mark.parametrize("conv", CONVS)
def test_gradients_reach_edge_weights(
    graph: tuple[Tensor, Tensor], form: str, conv: type, generator: torch.Generator
) -> None:
    edge_index, weight = graph
    x = torch.randn(N, D, generator=generator, dtype=torch.float64)
    adjacency = edge_index if form == "edge_index" else EdgeIndex(edge_index, sparse_size=(N, N))
    layer = conv()
    assert torch.autograd.gradcheck(lambda w: layer(x, adjacency, w), (weight.requires_grad_(),))


@pytest.mark.parametrize("form", ["coo", "csr", "csc", pytest.param("SparseTensor", marks=pytest.mark.sparse)])
@pytest.mark.parametrize("conv", CONVS)
def test_gradients_reach_the_weights_of_a_sparse_adjacency(
    graph: tuple[Tensor, Tensor], form: str, conv: type, generator: torch.Generator
) -> None:
    edge_index, weight = graph
    x = torch.randn(N, D, generator=generator, dtype=torch.float64)
    layer = conv()

    def of_weight(weight: Tensor) -> Tensor:
        return layer(x, *arguments(form, edge_index, weight, (N, N)))

    learned, beside = (weight.clone().requires_grad_() for _ in range(2))
    of_weight(learned).square().sum().backward()
    layer(x, edge_index, beside).square().sum().backward()
    torch.testing.assert_close(of_weight(learned), of_weight(weight))
    torch.testing.assert_close(learned.grad, beside.grad)


@pytest.mark.parametrize("form", ["coo", "csr", "csc", "EdgeIndex"])
def test_a_change_of_the_weights_in_place_is_seen(graph: tuple[Tensor, Tensor], form: str) -> None:
    layer, x = LightGCNConv(normalize=False), torch.ones(N, 1, dtype=torch.float64)
    adjacency = arguments(form, *graph, (N, N))
    before = layer(x, *adjacency)
    (adjacency[1] if form == "EdgeIndex" else adjacency[0].values()).mul_(3)
    torch.testing.assert_close(layer(x, *adjacency), 3 * before)


@pytest.mark.parametrize("form", [*FORMS[1:5], pytest.param("SparseTensor", marks=pytest.mark.sparse)])
def test_a_fixed_graph_is_sorted_once(graph: tuple[Tensor, Tensor], form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    original = SparseStructure.from_coo.__func__
    monkeypatch.setattr(
        SparseStructure, "from_coo", classmethod(lambda *args, **kwargs: built.append(1) or original(*args, **kwargs))
    )
    adjacency = arguments(form, *graph, (N, N))
    for _ in range(3):
        LightGCNConv()(torch.ones(N, D), *adjacency)
        LightGCNConv()(torch.ones(N, D, dtype=torch.float64), *adjacency)
    assert len(built) == 1


@pytest.mark.parametrize("form", FORMS)
def test_two_node_sets_weigh_their_edges(form: str) -> None:
    edge_index, weight = torch.tensor([[0, 0, 2], [0, 1, 1]]), torch.tensor([4.0, 5.0, 11.0], dtype=torch.float64)
    x = torch.eye(3, dtype=torch.float64)
    out = LightGCNConv()((x, torch.zeros(2, 3)), *arguments(form, edge_index, weight, (3, 2)))
    # Degrees: source 0 has 9, source 2 has 11; target 0 has 4, target 1 has 16.
    expected = [[4 / 6, 0, 0], [5 / 12, 0, 11 / (11 * 16) ** 0.5]]
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)


def test_it_is_light_gcn_as_pyg_has_it(graph: tuple[Tensor, Tensor], generator: torch.Generator) -> None:
    x = torch.randn(N, D, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(LightGCNConv()(x, *graph), LGConv()(x, *graph))


@pytest.mark.parametrize("form", FORMS)
def test_degrees_of_zero_and_below_cut_a_node_off(form: str) -> None:
    edge_index = torch.tensor([[0, 1, 0, 2, 0], [1, 0, 2, 1, 0]])
    weight = torch.tensor([1.0, 2.0, -3.0, 2.0, -2.0], dtype=torch.float64)  # degrees 0, 3, -3
    out = LightGCNConv()(torch.ones(3, 1, dtype=torch.float64), *arguments(form, edge_index, weight, (3, 3)))
    assert out.flatten().tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("form", FORMS)
def test_two_node_sets_have_their_own_degrees(form: str, generator: torch.Generator) -> None:
    users, items = 6, 4
    cells = torch.randperm(users * items, generator=generator)[:11]
    edge_index = torch.stack([cells // items, cells % items])
    r = np.zeros((users, items))
    r[edge_index[0], edge_index[1]] = 1
    scale_u, scale_i = (np.where(d > 0, np.maximum(d, 1) ** -0.5, 0) for d in (r.sum(1), r.sum(0)))
    x = torch.randn(users, D, generator=generator, dtype=torch.float64)
    expected = (scale_i[:, None] * r.T * scale_u[None, :]) @ x.numpy()
    adjacency = arguments(form, edge_index, None, (users, items))
    target = torch.randn(items, D, dtype=torch.float64)
    np.testing.assert_allclose(LightGCNConv()((x, target), *adjacency).numpy(), expected, atol=1e-12)
    adjacency = adjacency[:1]
    np.testing.assert_allclose(LightGCNConv()((x, None), *adjacency, size=(users, items)).numpy(), expected, atol=1e-12)


def test_hetero_conv_equals_the_symmetric_graph(generator: torch.Generator) -> None:
    """Both directions inside HeteroConv are one step over the whole bipartite graph."""
    users, items = 6, 4
    edge_index = torch.stack([torch.tensor([0, 0, 1, 2, 5]), torch.tensor([0, 1, 1, 3, 3])])
    x = {"user": torch.randn(users, D, generator=generator), "item": torch.randn(items, D, generator=generator)}
    types = {("user", "interacts", "item"): edge_index, ("item", "rev_interacts", "user"): edge_index.flip(0)}
    out = HeteroConv({edge_type: LightGCNConv() for edge_type in types})(x, types)
    shifted = torch.stack([edge_index[0], edge_index[1] + users])
    whole = LightGCNConv()(torch.cat([x["user"], x["item"]]), torch.cat([shifted, shifted.flip(0)], dim=1))
    torch.testing.assert_close(torch.cat([out["user"], out["item"]]), whole)


@pytest.mark.parametrize("conv", CONVS)
def test_new_ids_permute_the_output(graph: tuple[Tensor, Tensor], conv: type, generator: torch.Generator) -> None:
    edge_index, weight = graph
    x = torch.randn(N, D, generator=generator, dtype=torch.float64)
    new = torch.randperm(N, generator=generator)
    order = torch.randperm(edge_index.size(1), generator=generator)
    out = conv()(x[new.argsort()], new[edge_index][:, order], weight[order])
    torch.testing.assert_close(out[new], conv()(x, edge_index, weight))


@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize("form", FORMS)
def test_no_edges_give_zeros(conv: type, form: str) -> None:
    empty = torch.empty(2, 0, dtype=torch.long)
    out = conv()(torch.ones(3, 2, dtype=torch.float64), *arguments(form, empty, None, (3, 3)))
    assert torch.equal(out, torch.zeros(3, 2, dtype=torch.float64))


@pytest.mark.parametrize("conv", CONVS)
def test_isolated_nodes_get_and_give_nothing(graph: tuple[Tensor, Tensor], conv: type) -> None:
    out = conv()(torch.ones(N, 1, dtype=torch.float64), *graph)
    assert out[11] == 0  # isolated
    assert out[10] == 0  # only sends
    assert out.isfinite().all()


def test_a_binarised_k_graph_weighs_one_over_k() -> None:
    k, n = 3, 7
    edge_index = torch.stack([(torch.arange(n * k) * 5 + torch.arange(n * k) // n) % n, torch.arange(n * k) // k])
    x = torch.eye(n, dtype=torch.float64)
    out = KNNGraphConv()(x, edge_index)
    for edge, (source, target) in enumerate(edge_index.T.tolist()):
        count = (edge_index == torch.tensor([[source], [target]])).all(0).sum()
        assert out[target, source] == pytest.approx(count.item() / k), edge


def test_the_direction_is_from_row_0_to_row_1() -> None:
    out = LightGCNConv(normalize=False)(torch.tensor([[1.0], [10.0]]), torch.tensor([[0], [1]]))
    assert out.tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", ["edge_index", "EdgeIndex"])
def test_half_precision_is_close(graph: tuple[Tensor, Tensor], dtype: torch.dtype, form: str) -> None:
    x = torch.linspace(-1, 1, N * D, dtype=torch.float64).view(N, D)
    out = LightGCNConv()(x.to(dtype), *arguments(form, graph[0], graph[1].to(dtype), (N, N)))
    assert out.dtype == dtype
    np.testing.assert_allclose(out.double().numpy(), dense(x.numpy(), *graph), atol=2e-2)


def test_long_sums_of_half_precision_do_not_stall() -> None:
    """In float16 alone 2048 + 1 is 2048."""
    star = torch.stack([torch.arange(1, 5001), torch.zeros(5000, dtype=torch.long)])
    for adjacency in (star, EdgeIndex(star, sparse_size=(5001, 5001))):
        out = LightGCNConv(normalize=False)(torch.ones(5001, 1, dtype=torch.float16), adjacency)
        assert out[0].item() == 5000


@pytest.mark.parametrize("form", FORMS)
def test_explanations_see_the_messages(graph: tuple[Tensor, Tensor], form: str, generator: torch.Generator) -> None:
    """PyG's explainers switch ``explain`` on, which takes every edge through ``message``."""
    x = torch.randn(N, D, generator=generator, dtype=torch.float64)
    layer, adjacency = LightGCNConv(), arguments(form, *graph, (N, N))
    expected = layer(x, *adjacency)
    layer.explain, layer._apply_sigmoid = True, False
    layer._edge_mask = torch.ones(graph[0].size(1), dtype=torch.float64)
    torch.testing.assert_close(layer(x, *adjacency), expected)


@given(st.integers(1, 9), st.integers(1, 9), st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_all_forms_agree_on_any_graph(sources: int, targets: int, data: st.DataObject) -> None:
    pairs = st.tuples(st.integers(0, sources - 1), st.integers(0, targets - 1))
    edges = data.draw(st.lists(pairs, unique=True, max_size=30))
    edge_index = torch.tensor([[edge[end] for edge in edges] for end in (0, 1)], dtype=torch.long)
    x = torch.arange(2.0 * sources, dtype=torch.float64).view(sources, 2).sin(), torch.zeros(targets, 2)
    expected = LightGCNConv()(x, edge_index)
    for form in ("EdgeIndex", "coo", "csr", "csc"):
        out = LightGCNConv()(x, *arguments(form, edge_index, None, (sources, targets)))
        np.testing.assert_allclose(out.numpy(), expected.numpy(), atol=1e-12)


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
@pytest.mark.parametrize("conv", CONVS)
def test_copies_compute_the_same(graph: tuple[Tensor, Tensor], conv: type, copier: Callable[..., object]) -> None:
    layer, x = conv(), torch.ones(N, D, dtype=torch.float64)
    assert layer.state_dict() == {}
    assert torch.equal(copier(layer)(x, *graph), layer(x, *graph))


@pytest.mark.compile
@pytest.mark.parametrize("conv", CONVS)
def test_a_plain_edge_index_compiles_in_one_graph(graph: tuple[Tensor, Tensor], conv: type) -> None:
    torch._dynamo.reset()  # what an earlier test compiled in part would count
    x = torch.ones(N, D, dtype=torch.float64)
    compiled = torch.compile(conv(), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, *graph), conv()(x, *graph))


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo itself does so
@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("conv", CONVS)
def test_every_other_form_runs_eagerly_under_compile(graph: tuple[Tensor, Tensor], form: str, conv: type) -> None:
    torch._dynamo.reset()
    x, adjacency = torch.ones(N, D, dtype=torch.float64), arguments(form, *graph, (N, N))
    torch.testing.assert_close(torch.compile(conv(), backend="eager")(x, *adjacency), conv()(x, *graph))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("conv", CONVS)
def test_torch_func_differentiates_and_batches_every_form(
    graph: tuple[Tensor, Tensor], form: str, conv: type, generator: torch.Generator
) -> None:
    """Each transform meets a graph that nothing was built for yet."""
    x = torch.randn(N, D, generator=generator, dtype=torch.float64, requires_grad=True)
    expected = conv()(x, *graph)
    (slope,) = torch.autograd.grad(expected.square().sum(), x)
    x = x.detach()

    def layer() -> Callable[[Tensor], Tensor]:
        adjacency = arguments(form, *graph, (N, N))
        return lambda x: conv()(x, *adjacency)

    convolved = layer()
    torch.testing.assert_close(torch.func.grad(lambda x: convolved(x).square().sum())(x), slope)
    torch.testing.assert_close(torch.func.jvp(layer(), (x,), (2 * x,)), (expected, 2 * expected))
    torch.testing.assert_close(torch.func.vmap(layer())(torch.stack([x, -x])), torch.stack([expected, -expected]))


@pytest.mark.parametrize("form", ["edge_index", "EdgeIndex", pytest.param("SparseTensor", marks=pytest.mark.sparse)])
@pytest.mark.parametrize("conv", CONVS)
def test_forward_derivatives_reach_edge_weights(
    graph: tuple[Tensor, Tensor], form: str, conv: type, generator: torch.Generator
) -> None:
    x, (edge_index, weight) = torch.randn(N, D, generator=generator, dtype=torch.float64), graph
    tangent = torch.rand(len(weight), generator=generator, dtype=torch.float64)

    def layer(weight: Tensor) -> Tensor:
        return conv()(x, *arguments(form, edge_index, weight, (N, N)))

    step = 1e-6
    expected = (layer(weight + step * tangent) - layer(weight - step * tangent)) / (2 * step)
    torch.testing.assert_close(torch.func.jvp(layer, (weight,), (tangent,))[1], expected, atol=1e-7, rtol=1e-6)
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(layer(forward_ad.make_dual(weight, tangent))).tangent
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("form", ["edge_index", "EdgeIndex"])
def test_vmap_batches_edge_weights(graph: tuple[Tensor, Tensor], form: str) -> None:
    x, (edge_index, weight) = torch.ones(N, D, dtype=torch.float64), graph
    layer, (adjacency, _) = LightGCNConv(), arguments(form, *graph, (N, N))
    weights = torch.stack([weight, weight.square()])
    expected = torch.stack([layer(x, edge_index, one) for one in weights])
    torch.testing.assert_close(torch.func.vmap(lambda weight: layer(x, adjacency, weight))(weights), expected)


@pytest.mark.parametrize("form", ["edge_index", "EdgeIndex"])
def test_a_graph_made_under_torch_func_serves(graph: tuple[Tensor, Tensor], form: str) -> None:
    x, (edge_index, weight) = torch.ones(N, D, dtype=torch.float64), graph

    def total(x: Tensor) -> Tensor:
        return LightGCNConv()(x, *arguments(form, edge_index.flip(0), weight, (N, N))).sum()

    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(LightGCNConv()(leaf, edge_index.flip(0), weight).sum(), leaf)
    torch.testing.assert_close(torch.func.grad(total)(x), expected)


@pytest.mark.parametrize("conv", CONVS)
def test_repr_reads_as_the_call(conv: type) -> None:
    assert repr(conv(normalize=False)) == f"{conv.__name__}(normalize=False)"


@pytest.mark.errors
@pytest.mark.parametrize("conv", CONVS)
def test_bad_input_is_named(graph: tuple[Tensor, Tensor], conv: type) -> None:
    x, (edge_index, weight) = torch.ones(N, D, dtype=torch.float64), graph
    (csr,) = arguments("csr", edge_index, weight, (N, N))
    with pytest.raises(ValueError, match="'edge_weight' was given beside a sparse adjacency, which carries its own"):
        conv()(x, csr, weight)
    with pytest.raises(ValueError, match=r"'edge_weight' must have one entry per edge \(got \[2\]"):
        conv()(x, edge_index, weight[:2])
    with pytest.raises(ValueError, match=r"'edge_index' must be adj_t of the shape \[3, 3\]"):
        conv()(x[:3], csr)
    with pytest.raises(ValueError, match=r"'edge_index' must have the shape \[2, E\]"):
        conv()(x, edge_index.T)
    with pytest.raises(TypeError, match=r"'x' must be floating point \(got torch.int64\)"):
        conv()(x.long(), edge_index)
    wide = EdgeIndex(edge_index, sparse_size=(N + 1, N + 1))
    with pytest.raises(ValueError, match=rf"'edge_index' must be of a sparse size within \({N}, {N}\)"):
        conv()(x, wide)
    with pytest.raises(TypeError, match=r"'normalize' must be True or False \(got 'sym'\)"):
        conv("sym")
    with pytest.raises(ValueError, match=r"'edge_index\[1\]' must hold ids in \[0, 2\) for 2 targets \(got 0 to 9\)"):
        conv()(x[:2], torch.tensor([[0, 1], [0, 9]]))


@pytest.mark.errors
@pytest.mark.parametrize("form", [*FORMS, "SparseStructure"])
@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize("shape", [(N,), (N, 2, D), (N, N, N)], ids=str)
def test_every_form_refuses_what_is_no_matrix(
    graph: tuple[Tensor, Tensor], form: str, conv: type, shape: tuple[int, ...]
) -> None:
    adjacency = (graph_structure(*graph, N),) if form == "SparseStructure" else arguments(form, *graph, (N, N))
    given = ", ".join(map(str, shape))
    with pytest.raises(ValueError, match=rf"'x' must have the shape \[{N}, D\] \(got \[{given}\]\)"):
        conv()(torch.ones(shape, dtype=torch.float64), *adjacency)
    with pytest.raises(ValueError, match=r"'x' must have the shape \[N, D\] \(got \[\]\)"):
        conv()(torch.tensor(1.0), *adjacency)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"x": [torch.ones(2, 1)] * 2}, r"'x' must be a tensor or a tuple \(x_src, x_dst\) \(got a list of 2\)"),
        ({"x": (torch.ones(2, 1),) * 3}, r"'x' must be a tensor or a tuple \(x_src, x_dst\) \(got a tuple of 3\)"),
        ({"x": (None, torch.ones(2, 1))}, r"'x\[0\]' must be a torch tensor \(got a NoneType\)"),
        ({"x": (torch.ones(2, 1), [1.0, 1.0])}, r"'x\[1\]' must be a torch tensor \(got a list\)"),
        ({"edge_weight": [1.0]}, r"'edge_weight' must be a torch tensor \(got a list\)"),
        ({"x": (torch.ones(2, 1), None), "size": (2, None)}, r"'size\[1\]' must be an integer \(got None"),
        ({"size": (2.0, 2)}, r"'size\[0\]' must be an integer \(got 2.0"),
        ({"size": 2}, r"'size' must be a list or a tuple \(got 2\)"),
    ],
)
def test_arguments_of_another_type_are_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        LightGCNConv()(**{"x": torch.ones(2, 1), "edge_index": torch.tensor([[0], [1]]), **wrong})


@pytest.mark.errors
def test_a_similarity_graph_has_one_node_set() -> None:
    with pytest.raises(TypeError, match=r"'x' must be one tensor, .* \(got a tuple\)"):
        KNNGraphConv()((torch.ones(2, 1), torch.ones(2, 1)), torch.tensor([[0], [1]]))


@pytest.mark.errors
def test_targets_must_be_known() -> None:
    with pytest.raises(
        ValueError, match=r"'size' must be the rows of 'x', \(2, 3\) \(sources, targets; got \(2, 4\)\)"
    ):
        LightGCNConv()((torch.ones(2, 1), torch.ones(3, 1)), torch.tensor([[0], [1]]), size=(2, 4))
    with pytest.raises(ValueError, match=r"'size' must be the numbers of sources and targets \(got \(2,\)\)"):
        LightGCNConv()(torch.ones(2, 1), torch.tensor([[0], [1]]), size=(2,))
    with pytest.raises(ValueError, match="'size' is needed where 'x' has no target rows"):
        LightGCNConv()((torch.ones(2, 1), None), torch.tensor([[0], [1]]))


def test_a_size_that_pyg_inferred_leaves_room_for_isolated_nodes() -> None:
    adj = EdgeIndex([[0, 1], [1, 0]], sort_order="row")
    adj.fill_cache_()  # from now on its sparse size is (2, 2)
    x = torch.arange(8.0).view(4, 2)
    assert torch.equal(LightGCNConv()(x, adj), torch.cat([x[:2].flip(0), torch.zeros(2, 2)]))


class Updated(LightGCNConv):
    def update(self, inputs: Tensor) -> Tensor:
        return 2 * inputs


class Messaged(LightGCNConv):
    def message(self, x_j: Tensor, edge_weight: OptTensor) -> Tensor:
        return 2 * super().message(x_j, edge_weight)


class Aggregated(LightGCNConv):
    def aggregate(self, inputs: Tensor, index: Tensor, dim_size: Optional[int] = None) -> Tensor:  # noqa: UP045
        return 2 * super().aggregate(inputs, index, dim_size=dim_size)


def doubled_by_hook(step: str) -> LightGCNConv:
    conv = LightGCNConv()
    getattr(conv, f"register_{step}_forward_hook")(lambda *arguments: 2 * arguments[-1])
    return conv


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "build",
    [
        Updated,
        Messaged,
        Aggregated,
        *(partial(doubled_by_hook, step) for step in ("propagate", "message", "aggregate")),
    ],
)
def test_what_changes_a_step_holds_for_every_form(
    graph: tuple[Tensor, Tensor], form: str, build: Callable[[], LightGCNConv]
) -> None:
    x, adjacency = torch.linspace(-1, 1, N * D, dtype=torch.float64).view(N, D), arguments(form, *graph, (N, N))
    torch.testing.assert_close(build()(x, *adjacency), 2 * LightGCNConv()(x, *adjacency))


@pytest.mark.parametrize("form", FORMS)
def test_another_aggregation_holds_for_every_form(graph: tuple[Tensor, Tensor], form: str) -> None:
    conv, x = LightGCNConv(normalize=False), torch.linspace(-1, 1, N * D, dtype=torch.float64).view(N, D)
    conv.aggr_module = MaxAggregation()
    torch.testing.assert_close(conv(x, *arguments(form, *graph, (N, N))), conv(x, *graph))
    assert not torch.allclose(conv(x, *graph), LightGCNConv(normalize=False)(x, *graph))


@pytest.mark.errors
@pytest.mark.parametrize("form", [*FORMS, "SparseStructure"])
@pytest.mark.parametrize("conv", CONVS)
def test_messages_flow_from_row_0_to_row_1(graph: tuple[Tensor, Tensor], form: str, conv: type) -> None:
    adjacency = (graph_structure(*graph, N),) if form == "SparseStructure" else arguments(form, *graph, (N, N))
    layer = conv()
    layer.flow = "target_to_source"
    with pytest.raises(ValueError, match=r"'flow' must be 'source_to_target' \(got 'target_to_source'\).*flip\(0\)"):
        layer(torch.ones(N, D, dtype=torch.float64), *adjacency)


def test_one_edge_index_serves_every_layer(graph: tuple[Tensor, Tensor]) -> None:
    """What is kept of it for one normalisation, node sets or size is not taken for another."""
    edge_index, x = graph[0], torch.linspace(-1, 1, N * D, dtype=torch.float64).view(N, D)
    wide = torch.cat([x, x[:3]])
    shared = EdgeIndex(edge_index)
    for layer, inputs in (
        (LightGCNConv(), x),
        (LightGCNConv(normalize=False), x),
        (LightGCNConv(), (x, x)),
        (LightGCNConv(), wide),
        (LightGCNConv(), (wide, x)),
    ):
        torch.testing.assert_close(layer(inputs, shared), layer(inputs, edge_index))
