"""Data on the CPU is worked on there, whatever the default device is."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg._device import new_tensors_on
from drepm_pyg.data import (
    USER_ITEM,
    SyntheticMultimodal,
    k_core,
    leave_one_out_split,
    mask_duplicate_rows,
    random_split,
    read_mmrec,
    validate,
    write_mmrec,
)
from drepm_pyg.evaluation import evaluate
from drepm_pyg.graph import AddSimilarityGraphs, knn_graph, user_cooccurrence_graph, user_knn_graph
from drepm_pyg.models import ItemKNN, MostPopular

CALLS: dict[str, Callable[[HeteroData], object]] = {
    "knn_graph": lambda data: knn_graph(data["item"].image, 3),
    "tiles": lambda data: knn_graph(data["many"].x, 3, index="blocks"),
    "user_knn_graph": lambda data: user_knn_graph(data["item"].image, data[USER_ITEM].edge_index, 60, 3),
    "user_cooccurrence_graph": lambda data: user_cooccurrence_graph(data[USER_ITEM].edge_index, 60, 50, 3),
    "AddSimilarityGraphs": AddSimilarityGraphs(3),
    "random_split": random_split,
    "leave_one_out_split": leave_one_out_split,
    "k_core": lambda data: k_core(unsplit(data), 2),
    "mask_duplicate_rows": lambda data: mask_duplicate_rows(data, "text"),
    "validate": validate,
    "evaluate": lambda data: evaluate(MostPopular.from_data(data), data),
    "ItemKNN": lambda data: evaluate(ItemKNN.from_data(data), data),
    "SyntheticMultimodal": lambda data: SyntheticMultimodal(60, 50, seed=1)[0],
}


def unsplit(data: HeteroData) -> HeteroData:
    for name in ("val_edge_label_index", "test_edge_label_index"):
        del data[USER_ITEM][name]
    return data


def tensors(found: object) -> list[torch.Tensor]:
    parts = found.to_dict() if isinstance(found, HeteroData) else found
    if isinstance(parts, torch.Tensor):
        return [parts]
    values = parts.values() if isinstance(parts, dict) else parts if isinstance(parts, list | tuple) else []
    return [tensor for value in values for tensor in tensors(value)]


@pytest.mark.parametrize("name", CALLS)
def test_tensors_lie_where_the_data_is(name: str, generator: torch.Generator) -> None:
    data = SyntheticMultimodal(60, 50, seed=0)[0]
    data["item"].text[1] = data["item"].text[0]
    if name == "tiles":
        data["many"].x = torch.randn(4200, 8, generator=generator)
    expected = CALLS[name](data.clone())
    with torch.device("meta"):
        found = CALLS[name](data.clone())
    if not tensors(expected):
        assert found == expected
    for one, other in zip(tensors(found), tensors(expected), strict=True):
        assert torch.equal(one, other)


def test_files_are_read_to_the_cpu(tmp_path: Path) -> None:
    write_mmrec(SyntheticMultimodal(60, 50, seed=0)[0], tmp_path / "shop")
    with torch.device("meta"):
        data = read_mmrec(tmp_path / "shop")
    assert all(tensor.device.type == "cpu" for tensor in tensors(data))


def test_another_device_named_for_a_block() -> None:
    with torch.device("meta"):
        with new_tensors_on(torch.device("cpu")):
            assert torch.zeros(1).device.type == "cpu"
        assert torch.zeros(1).device.type == "meta"
