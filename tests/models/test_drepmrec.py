"""DRepMRec against the paper, equation by equation, in dense NumPy float64."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.models import DRepMRec, Representations, Triples
from tests import toy

WEIGHTS = {"image": 0.3, "text": 0.7}
FLAGS = ("normalize", "distinct", "mask_false_negatives", "mask_duplicates")


def numpy_of(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def adjacency(edge_index: torch.Tensor, num_targets: int, num_sources: int) -> np.ndarray:
    """A[target, source] = 1 for an edge_index of (source, target)."""
    dense = np.zeros((num_targets, num_sources))
    dense[edge_index[1], edge_index[0]] = 1
    return dense


def symmetric(a: np.ndarray) -> np.ndarray:
    """D^-1/2 A D^-1/2 with the row sums as degrees, 0 for a node without edges."""
    degree = a.sum(1)
    inverse = np.divide(1, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
    return inverse[:, None] * a * inverse[None, :]


def unit(x: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, norm, out=np.zeros_like(x), where=norm > 0)


class Paper:
    """Eq. 1-16, with the decisions of the class docstring; ``mask`` says which item has which modality."""

    normalize, distinct, metric, reduction = True, True, "cosine", "mean"

    def __init__(self, model: DRepMRec, data: HeteroData, layers: int = 2, modal_layers: int = 1) -> None:
        users, items = data["user"].num_nodes, data["item"].num_nodes
        edge_index = data["user", "interacts", "item"].edge_index
        self.r = adjacency(edge_index.flip(0), users, items)
        self.e_user = numpy_of(model.behavior_line.user_embedding.weight)
        self.e_item = numpy_of(model.behavior_line.item_embedding.weight)
        # Eq. 1-3
        a = symmetric(np.block([[np.zeros((users, users)), self.r], [self.r.T, np.zeros((items, items))]]))
        layer = np.concatenate([self.e_user, self.e_item])
        stack = [layer]
        for _ in range(layers):
            layer = a @ layer
            stack.append(layer)
        self.b_user, self.b_item = np.split(np.mean(stack, axis=0), [users])
        # Eq. 4-7, and the raw features that Eq. 12 compares
        self.raw: dict[str, dict[str, np.ndarray]] = {"user": {}, "item": {}}
        has: dict[str, dict[str, np.ndarray]] = {"user": {}, "item": {}}
        modal = {"user": np.zeros_like(self.e_user), "item": np.zeros_like(self.e_item)}
        for name in WEIGHTS:
            mask = data["item"].get(f"{name}_mask")
            has["item"][name] = np.ones(items) if mask is None else numpy_of(mask)
            counts = self.r @ has["item"][name]
            has["user"][name] = np.ones(users) if mask is None else (counts > 0).astype(float)
            self.raw["item"][name] = has["item"][name][:, None] * numpy_of(data["item"][name])
            self.raw["user"][name] = self.r @ self.raw["item"][name] / np.maximum(counts, 1)[:, None]
        self.weight = {
            node: {m: WEIGHTS[m] * has[node][m] / np.maximum(sum(WEIGHTS[n] * has[node][n] for n in WEIGHTS), 1e-300)
                   for m in WEIGHTS}
            for node in ("user", "item")
        }  # fmt: skip
        self.lines: dict[str, dict[str, np.ndarray]] = {"user": {}, "item": {}}
        for node, ego in (("user", self.e_user), ("item", self.e_item)):
            for name in WEIGHTS:
                gate = model.modal_line.gates[name]
                logits = self.raw[node][name] @ numpy_of(gate.weight) + numpy_of(gate.bias)
                gated = has[node][name][:, None] * ego / (1 + np.exp(-logits))
                graph = data[node, f"similar_{name}", node].edge_index
                s = symmetric(adjacency(graph, len(ego), len(ego)))
                smooth = np.linalg.matrix_power(s, modal_layers) @ gated
                modal[node] += self.weight[node][name][:, None] * smooth
        self.m_user, self.m_item = modal["user"], modal["item"]

    def info_nce(self, x: np.ndarray, y: np.ndarray, tau: float, keep: np.ndarray | None = None) -> float:
        """Eq. 8-9, mean over the rows; ``keep[b, c]`` False: c is no negative of b."""
        if self.normalize:
            x, y = unit(x), unit(y)
        total = 0.0
        for b in range(len(x)):
            own = math.exp(x[b] @ y[b] / tau)
            rest = sum(math.exp(x[b] @ y[c] / tau) for c in range(len(y)) if c != b and (keep is None or keep[b, c]))
            total -= math.log(own / (own + rest))
        return total / len(x)

    def sss(self, node: str, ids: np.ndarray, z: np.ndarray) -> float:
        """Eq. 12 for one node set, against the weighted sum of cosines."""
        target = np.zeros((len(ids), len(ids)))
        for name in WEIGHTS:
            x, w = unit(self.raw[node][name])[ids], np.sqrt(self.weight[node][name][ids])
            target += (w[:, None] * x) @ (w[:, None] * x).T
        z = unit(z) if self.metric == "cosine" else z
        square = float(((z @ z.T - target) ** 2).sum())
        root = math.sqrt(square)
        return {"mean": square / len(z) ** 2, "frobenius": root, "frobenius_per_row": root / len(z)}[self.reduction]

    def parts(self, batch: Triples, tau: float = 0.2, keep: np.ndarray | None = None) -> dict[str, float]:
        u, i, j = (ids.numpy() for ids in batch.tensors())
        g_user, g_item = self.b_user + self.m_user, self.b_item + self.m_item  # Eq. 13
        margin = (g_user[u] * (g_item[i] - g_item[j])).sum(1)
        distinct_u, distinct_i = (np.unique(u), np.unique(i)) if self.distinct else (u, i)
        return {
            "bpr": float(np.log1p(np.exp(-margin)).mean()),  # Eq. 14
            "intra": self.info_nce(self.b_user[u], self.b_item[i], tau, keep)
            + self.info_nce(self.m_user[u], self.m_item[i], tau, keep),  # Eq. 10
            "inter": self.info_nce(self.b_user[distinct_u], self.m_user[distinct_u], tau)
            + self.info_nce(self.b_item[distinct_i], self.m_item[distinct_i], tau),  # Eq. 11
            "sss": self.sss("user", distinct_u, self.m_user[distinct_u])
            + self.sss("item", distinct_i, self.m_item[distinct_i]),  # Eq. 12
            "reg": 0.5 * float((self.e_user[u] ** 2).sum() + (self.e_item[i] ** 2).sum() + (self.e_item[j] ** 2).sum())
            / len(u),
        }  # fmt: skip


def build(data: HeteroData, **kwargs: Any) -> DRepMRec:
    torch.manual_seed(0)
    return DRepMRec.from_data(data, embedding_dim=8, **kwargs).double()


@pytest.fixture(params=[False, True], ids=["whole", "masked"])
def data(request: pytest.FixtureRequest) -> HeteroData:
    return toy.toy_data(masked=request.param)


def test_representations_are_the_papers(data: HeteroData) -> None:
    model = build(data)
    paper, tables = Paper(model, data), model(data)
    for ours, theirs in (
        (tables.behavior_user, paper.b_user),
        (tables.behavior_item, paper.b_item),
        (tables.modal_user, paper.m_user),
        (tables.modal_item, paper.m_item),
        (tables.user, paper.b_user + paper.m_user),
        (tables.item, paper.b_item + paper.m_item),
    ):
        np.testing.assert_allclose(numpy_of(ours), theirs, rtol=1e-9, atol=1e-12)


def test_loss_is_the_papers_term_by_term(data: HeteroData) -> None:
    weights = {"alpha": 0.3, "beta": 0.2, "gamma": 0.5, "reg": 0.01}
    model, batch = build(data, **weights), toy.toy_batch(data)
    output, expected = model.loss(data, batch), Paper(model, data).parts(batch)
    factor = {"bpr": 1.0, "intra": 0.3, "inter": 0.2, "sss": 0.5, "reg": 0.01}
    assert set(output.parts) == set(factor)
    for name, value in expected.items():
        assert output.parts[name].item() == pytest.approx(factor[name] * value, rel=1e-9), name
    assert output.total.item() == pytest.approx(sum(factor[n] * expected[n] for n in factor), rel=1e-9)


def test_gradients_are_those_of_the_papers_loss(data: HeteroData, generator: torch.Generator) -> None:
    """Along random directions of each parameter, by central differences of the NumPy loss."""
    model, batch, step = build(data, alpha=0.4, beta=0.3, gamma=0.5, reg=0.1), toy.toy_batch(data), 1e-5
    factor = {"bpr": 1.0, "intra": 0.4, "inter": 0.3, "sss": 0.5, "reg": 0.1}
    model.loss(data, batch).total.backward()

    def loss() -> float:
        return sum(factor[name] * value for name, value in Paper(model, data).parts(batch).items())

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        for _ in range(2):
            direction = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            with torch.no_grad():
                parameter.add_(direction, alpha=step)
                above = loss()
                parameter.sub_(direction, alpha=2 * step)
                slope = (above - loss()) / (2 * step)
                parameter.add_(direction, alpha=step)
            assert float((parameter.grad * direction).sum()) == pytest.approx(slope, rel=1e-6, abs=1e-9), name


@pytest.mark.parametrize(
    ("argument", "value", "attribute"),
    [
        ("normalize", False, "normalize"),
        ("distinct", False, "distinct"),
        ("sss_metric", "dot", "metric"),
        ("sss_reduction", "frobenius", "reduction"),
        ("sss_reduction", "frobenius_per_row", "reduction"),
    ],
)
def test_decisions_are_arguments(data: HeteroData, argument: str, value: Any, attribute: str) -> None:
    model, batch = build(data, **{"alpha": 1.0, "beta": 1.0, "gamma": 1.0, argument: value}), toy.toy_batch(data)
    paper = Paper(model, data)
    setattr(paper, attribute, value)
    parts, expected = model.loss(data, batch).parts, paper.parts(batch)
    for name in ("intra", "inter", "sss"):
        assert parts[name].item() == pytest.approx(expected[name], rel=1e-9), name


def test_depths_readout_and_temperature_are_arguments(data: HeteroData) -> None:
    options = {"num_layers": 3, "num_modal_layers": 2, "temperature": 0.7, "readout": lambda layers: sum(layers) / 4}
    model, batch = build(data, alpha=1.0, **options), toy.toy_batch(data)
    paper, tables = Paper(model, data, layers=3, modal_layers=2), model(data)
    np.testing.assert_allclose(numpy_of(tables.behavior_user), paper.b_user, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(numpy_of(tables.modal_item), paper.m_item, rtol=1e-9, atol=1e-12)
    assert model.loss(data, batch).parts["intra"].item() == pytest.approx(paper.parts(batch, tau=0.7)["intra"])


def test_known_positives_can_be_left_out_of_the_negatives(data: HeteroData) -> None:
    model, batch = build(data, alpha=1.0, mask_false_negatives=True), toy.toy_batch(data)
    paper = Paper(model, data)
    keep = paper.r[batch.user.numpy()][:, batch.positive.numpy()] == 0
    assert model.loss(data, batch).parts["intra"].item() == pytest.approx(paper.parts(batch, keep=keep)["intra"])


def test_duplicate_items_can_be_left_out_of_the_negatives(data: HeteroData) -> None:
    model, batch = build(data, alpha=1.0, mask_duplicates=True), toy.toy_batch(data)
    keep = (batch.positive[:, None] != batch.positive).numpy()
    expected = Paper(model, data).parts(batch, keep=keep)["intra"]
    assert model.loss(data, batch).parts["intra"].item() == pytest.approx(expected)


@pytest.mark.parametrize(("weight", "part"), [("alpha", "intra"), ("beta", "inter"), ("gamma", "sss"), ("reg", "reg")])
def test_a_weight_of_zero_removes_its_part_alone(weight: str, part: str) -> None:
    data = toy.toy_data()
    batch = toy.toy_batch(data)
    whole, ablated = build(data).loss(data, batch), build(data, **{weight: 0.0}).loss(data, batch)
    assert ablated.parts[part] == 0
    assert all(torch.equal(ablated.parts[name], whole.parts[name]) for name in whole.parts if name != part)


def test_no_gradient_reaches_the_target() -> None:
    data = toy.toy_data()
    data["item"].text.requires_grad_()
    model = build(data)
    tables = Representations(**{name: t.detach() for name, t in vars(model(data)).items()})
    assert not model.alignment(tables, data, toy.toy_batch(data))["sss"].requires_grad


def test_modality_weights_select_and_mix_the_lines() -> None:
    data = toy.toy_data()
    torch.manual_seed(0)
    both = build(data, weights={"image": 1.0, "text": 0.0})
    image = DRepMRec.from_data(data, modalities=["image"], embedding_dim=8).double()
    image.load_state_dict({name: both.state_dict()[name] for name in image.state_dict()})
    torch.testing.assert_close(image(data).modal_item, both(data).modal_item)


@pytest.mark.errors
def test_missing_graph_names_the_transform() -> None:
    data = toy.toy_data()
    del data["user", "similar_text", "user"]
    with pytest.raises(ValueError, match=r"no edges \('user', 'similar_text', 'user'\).*AddSimilarityGraphs"):
        build(data)(data)


@pytest.mark.errors
def test_features_of_another_width_are_refused() -> None:
    data = toy.toy_data()
    model = build(data)
    data["item"].text = data["item"].text[:, :3]
    with pytest.raises(ValueError, match="has 3 columns, the model was built for 5"):
        model(data)


@pytest.mark.errors
def test_unknown_modality_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"'modalities' must be distinct names of \['image', 'text'\] \(got \['sound'\]"
    ):
        DRepMRec.from_data(toy.toy_data(), modalities=["sound"])


@pytest.mark.errors
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        *(({flag: "no"}, rf"'{flag}' must be True or False \(got 'no'\)") for flag in FLAGS),
        ({"num_modal_layers": 0}, r"'num_modal_layers' must be at least 1 \(got 0\)"),
        ({"embedding_dim": 0}, r"'embedding_dim' must be at least 1 \(got 0\)"),
        ({"readout": 3}, r"'readout' must be one of 'mean', 'sum', 'last' \(got 3\)"),
        ({"sss_metric": "x"}, "'sss_metric' must be one of"),
        ({"weights": "a"}, r"'weights' must map names to numbers \(got 'a'\)"),
    ],
)
def test_bad_options_are_refused_when_built(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        DRepMRec.from_data(toy.toy_data(), **wrong)
