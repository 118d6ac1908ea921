"""AddSimilarityGraphs: the builders' graphs, under the schema's names, from training pairs alone."""

import copy
import logging
import pickle
from pathlib import Path

import pytest
import torch
import torch_geometric.transforms as T
from torch_geometric.data import Data, HeteroData, InMemoryDataset

from drepm_pyg.data import USER_ITEM, modalities
from drepm_pyg.graph import (
    AddSimilarityGraphs,
    MergeModalities,
    NormalizeSimilarity,
    find,
    knn_graph,
    products,
    user_knn_graph,
)


@pytest.fixture
def data(generator: torch.Generator) -> HeteroData:
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = 20, 30
    data["item"].image = torch.randn(30, 8, generator=generator)
    data["item"].text = torch.randn(30, 5, generator=generator)
    data["item"].text_mask = torch.rand(30, generator=generator) < 0.8
    pairs = torch.stack([torch.arange(20).repeat(3), torch.randint(30, (60,), generator=generator)]).unique(dim=1)
    data[USER_ITEM].edge_index = pairs
    data[USER_ITEM].test_edge_label_index = torch.randint(20, (2, 10), generator=generator)
    return data


def test_a_graph_per_modality_and_kind_of_node(data: HeteroData) -> None:
    before = set(data.edge_types)
    out = AddSimilarityGraphs(k=4)(data)
    added = {(node, f"similar_{m}", node) for node in ("item", "user") for m in ("image", "text")}
    assert set(out.edge_types) - before == added
    pairs, mask = data[USER_ITEM].edge_index, data["item"].text_mask
    item, user = out["item", "similar_image", "item"], out["user", "similar_text", "user"]
    assert torch.equal(item.edge_index, knn_graph(data["item"].image, 4))
    assert torch.equal(user.edge_index, user_knn_graph(data["item"].text, pairs, 20, 4, mask=mask))
    assert torch.equal(item.edge_weight, torch.ones(120))


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("nodes", [("item", "user"), ("user", "item")])
def test_both_graphs_of_a_modality_share_its_products(
    data: HeteroData, metric: str, nodes: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    plain = products.gram
    monkeypatch.setattr(products, "gram", lambda y: made.append(len(y)) or plain(y))
    out = AddSimilarityGraphs(k=4, nodes=nodes, metric=metric, index="gram")(data)
    assert made == [30, int(data["item"].text_mask.sum())]
    image, pairs = data["item"].image, data[USER_ITEM].edge_index
    item = knn_graph(image, 4, metric=metric, index="blocks")
    user = user_knn_graph(image, pairs, 20, 4, metric=metric, index="blocks")
    assert torch.equal(out["item", "similar_image", "item"].edge_index, item)
    assert torch.equal(out["user", "similar_image", "user"].edge_index, user)


def test_items_without_the_modality_have_no_edges(data: HeteroData) -> None:
    edge_index = AddSimilarityGraphs(k=4)(data)["item", "similar_text", "item"].edge_index
    assert data["item"].text_mask[edge_index].all()


def test_options_reach_the_builders(data: HeteroData) -> None:
    out = AddSimilarityGraphs(3, modalities=["image"], metric="ip", loop=True, return_weight=True)(data)
    edge_index, weight = knn_graph(data["item"].image, 3, metric="ip", loop=True, return_weight=True)
    store = out["item", "similar_image", "item"]
    assert torch.equal(store.edge_index, edge_index)
    assert torch.equal(store.edge_weight, weight)
    assert ("item", "similar_text", "item") not in out.edge_types


def test_cut_offs_and_symmetry_reach_the_builders(data: HeteroData) -> None:
    x, pairs = data["item"].image, data[USER_ITEM].edge_index
    out = AddSimilarityGraphs(3, min_similarity=0.2, mutual=True)(data)
    item = knn_graph(x, 3, min_similarity=0.2, mutual=True)
    user = user_knn_graph(x, pairs, 20, 3, min_similarity=0.2, mutual=True)
    assert torch.equal(out["item", "similar_image", "item"].edge_index, item)
    assert torch.equal(out["user", "similar_image", "user"].edge_index, user)
    out = AddSimilarityGraphs(3, metric="l2", radius=2.5, symmetric="union", nodes=["item"])(data)
    expected = knn_graph(x, 3, metric="l2", radius=2.5, symmetric="union")
    assert torch.equal(out["item", "similar_image", "item"].edge_index, expected)


def test_the_data_given_is_left_alone(data: HeteroData) -> None:
    before = copy.deepcopy(data)
    AddSimilarityGraphs(k=2)(data)
    assert data.edge_types == before.edge_types


def test_held_out_pairs_do_not_matter(data: HeteroData) -> None:
    other = copy.deepcopy(data)
    other[USER_ITEM].test_edge_label_index = other[USER_ITEM].test_edge_label_index.flip(0)
    del data[USER_ITEM].test_edge_label_index
    a, b = (AddSimilarityGraphs(k=4)(d)["user", "similar_image", "user"].edge_index for d in (data, other))
    assert torch.equal(a, b)


def test_items_alone_need_no_interactions(generator: torch.Generator) -> None:
    data = HeteroData()
    data["item"].audio = torch.randn(6, 3, generator=generator)
    out = AddSimilarityGraphs(k=2, nodes=("item",))(data)
    assert out.edge_types == [("item", "similar_audio", "item")]


def test_composes_and_pickles(data: HeteroData) -> None:
    transform = pickle.loads(pickle.dumps(T.Compose([AddSimilarityGraphs(k=2)])))
    assert ("user", "similar_text", "user") in transform(data).edge_types


def test_says_what_it_is() -> None:
    assert repr(AddSimilarityGraphs(3, loop=True)) == "AddSimilarityGraphs(k=3, metric='cosine', loop=True)"
    decisive = {
        "index": "blocks",
        "return_weight": True,
        "min_similarity": 0.5,
        "mutual": True,
        "symmetric": "intersection",
        "modalities": ["text"],
        "nodes": ("item",),
    }
    shown = ", ".join(f"{name}={value!r}" for name, value in decisive.items())
    transform = AddSimilarityGraphs(memory_budget=1 << 20, device="cpu", cache_dir="cache", **decisive)
    assert repr(transform) == f"AddSimilarityGraphs(k=10, metric='cosine', loop=False, {shown})"


def test_the_recall_is_said(data: HeteroData, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="drepm_pyg"):
        AddSimilarityGraphs(k=2, nodes=("item",), measure_recall=5)(data)
    said = [record.getMessage() for record in caplog.records]
    assert said.count("gram finds 1.0000 of the exact neighbours") == len(modalities(data))


def test_a_data_set_notices_that_it_was_processed_with_other_options(data: HeteroData, tmp_path: Path) -> None:
    class Stored(InMemoryDataset):
        processed_file_names = ("data.pt",)

        def process(self) -> None:
            self.save([self.pre_transform(data)], self.processed_paths[0])

    steps = [AddSimilarityGraphs(k=2), NormalizeSimilarity(), MergeModalities({"image": 0.5, "text": 0.5})]
    dataset = Stored(tmp_path, pre_transform=T.Compose(steps))
    dataset.load(dataset.processed_paths[0], HeteroData)
    expected = T.Compose(steps)(data)["user", "similar_merged", "user"]
    assert torch.equal(dataset[0]["user", "similar_merged", "user"].edge_index, expected.edge_index)
    Stored(tmp_path, pre_transform=T.Compose(steps))  # no warning
    with pytest.warns(UserWarning, match="pre_transform"):
        Stored(tmp_path, pre_transform=T.Compose([AddSimilarityGraphs(k=2, min_similarity=0.2), *steps[1:]]))


@pytest.mark.parametrize("return_weight", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_cache_changes_nothing_but_the_time(
    data: HeteroData, tmp_path: Path, return_weight: bool, dtype: torch.dtype
) -> None:
    for name in ("image", "text"):
        data["item"][name] = data["item"][name].to(dtype)
    transform = AddSimilarityGraphs(k=4, cache_dir=tmp_path, return_weight=return_weight)
    expected = AddSimilarityGraphs(k=4, return_weight=return_weight)(data)
    for _ in range(2):
        out = transform(data)
        for edge_type in expected.edge_types:
            for name, value in expected[edge_type].items():
                assert torch.equal(out[edge_type][name], value)
                assert out[edge_type][name].dtype == value.dtype
        assert len(list(tmp_path.iterdir())) == 4


def test_a_cache_sees_every_change(data: HeteroData, tmp_path: Path) -> None:
    def built(**options: object) -> int:
        before = len(list(tmp_path.iterdir()))
        AddSimilarityGraphs(options.pop("k", 4), cache_dir=tmp_path, **options)(data)
        return len(list(tmp_path.iterdir())) - before

    assert built() == 4
    assert built() == 0
    assert built(k=3) == built(metric="ip") == built(loop=True) == built(return_weight=True) == 4
    assert built(mutual=True) == built(min_similarity=0.5) == 4
    data["item"].text[3, 2] += 1e-6
    assert built() == 2
    data["item"].text_mask = ~data["item"].text_mask | (torch.arange(30) % 3 == 0)
    assert built() == 2
    data[USER_ITEM].edge_index = data[USER_ITEM].edge_index[:, :-1]
    assert built() == 2


def test_a_cache_tells_the_exact_graph_from_an_approximate_one(
    data: HeteroData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform = AddSimilarityGraphs(k=4, nodes=("item",), cache_dir=tmp_path)
    transform(data)
    monkeypatch.setattr(find, "_EXACT_WORK", 1.0)
    monkeypatch.setattr(find, "faiss_installed", lambda: False)
    transform(data)  # still exact, as there is no other index
    assert len(list(tmp_path.iterdir())) == 2
    pytest.importorskip("faiss")
    monkeypatch.setattr(find, "faiss_installed", lambda: True)
    transform(data)
    assert len(list(tmp_path.iterdir())) == 4
    for sample in (10, 20):  # other rows to tune an index by
        AddSimilarityGraphs(4, index="ivf", target_recall=0.9, measure_recall=sample, cache_dir=tmp_path)(data)
    assert len(list(tmp_path.iterdir())) == 12


@pytest.mark.errors
class TestErrors:
    def test_a_modality_that_is_not_there(self, data: HeteroData) -> None:
        with pytest.raises(ValueError, match=r"'modalities' must be among .*\['image', 'text'\] \(got \['audio'\]\)"):
            AddSimilarityGraphs(modalities=["image", "audio"])(data)

    def test_no_modality_at_all(self) -> None:
        data = HeteroData()
        data["item"].num_nodes = 3
        with pytest.raises(ValueError, match=r"data\['item'\] has no features"):
            AddSimilarityGraphs()(data)

    def test_users_without_interactions(self, data: HeteroData) -> None:
        del data[USER_ITEM]
        transform = AddSimilarityGraphs(k=2)
        for call in (transform, transform.forward):  # which makes no copy
            with pytest.raises(ValueError, match=r"user graphs need data\['user', 'interacts', 'item'\].edge_index"):
                call(data)
        assert USER_ITEM not in data.edge_types

    def test_the_graph_at_fault_is_named(self, data: HeteroData) -> None:
        with pytest.raises(ValueError, match=r"the users' graph of 'image': 'k' must be at most .* 19 \(got k=25"):
            AddSimilarityGraphs(k=25, nodes=["user"])(data)
        data["item"].text[:] = torch.nan
        with pytest.raises(ValueError, match=r"the items' graph of 'text': 'x' holds NaN or infinite values"):
            AddSimilarityGraphs(k=2)(data)

    def test_no_users_and_items(self) -> None:
        with pytest.raises(TypeError, match=r"AddSimilarityGraphs needs a HeteroData .* \(got Data\)"):
            AddSimilarityGraphs()(Data(x=torch.eye(3)))

    def test_an_unknown_number_of_users(self, data: HeteroData) -> None:
        del data["user"].num_nodes
        with pytest.raises(ValueError, match=r"data\['user'\].num_nodes is not set"):
            AddSimilarityGraphs(k=2)(data)

    def test_modalities_in_a_string(self) -> None:
        with pytest.raises(TypeError, match=r"'modalities' must be a list or a tuple .* Pass \('text',\)"):
            AddSimilarityGraphs(modalities="text")

    def test_no_modality(self) -> None:
        with pytest.raises(ValueError, match=r"'modalities' must name one at least"):
            AddSimilarityGraphs(modalities=[])

    def test_nodes(self) -> None:
        with pytest.raises(ValueError, match=r"'nodes' must be one of 'item', 'user' \(got 'items'\)"):
            AddSimilarityGraphs(nodes=("items",))

    def test_distances_as_weights(self) -> None:
        with pytest.raises(ValueError, match=r"'return_weight' must be False for metric='l2'"):
            AddSimilarityGraphs(metric="l2", return_weight=True)

    def test_a_cache_without_a_name(self, tmp_path: Path) -> None:
        faiss = pytest.importorskip("faiss")
        with pytest.raises(ValueError, match=r"'cache_dir' needs an index by name"):
            AddSimilarityGraphs(index=faiss.IndexFlatIP(4), cache_dir=tmp_path)

    def test_a_cache_and_a_search_by_all(self, tmp_path: Path) -> None:
        torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
        try:
            with pytest.raises(ValueError, match=r"'distributed' needs every process to search"):
                AddSimilarityGraphs(distributed=True, cache_dir=tmp_path)
        finally:
            torch.distributed.destroy_process_group()

    @pytest.mark.parametrize(
        ("argument", "value"),
        [("index", 5), ("loop", "x"), ("cache_dir", 5), ("nodes", None), ("modalities", 3), ("nodes", "item")],
    )
    def test_other_types(self, argument: str, value: object) -> None:
        with pytest.raises(TypeError, match=f"'{argument}' must be "):
            AddSimilarityGraphs(2, **{argument: value})
