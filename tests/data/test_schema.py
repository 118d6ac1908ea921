"""The names of the schema and what build_data makes of pairs and features."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data import (
    ITEM_USER,
    SPLIT_INDEX,
    USER_ITEM,
    build_data,
    k_core,
    leave_one_out_split,
    modalities,
    modality_mask,
    random_split,
    similar,
    validate,
    write_mmrec,
)
from drepm_pyg.data.schema import check_modality_name

TRAIN = torch.tensor([[0, 0, 1], [0, 2, 1]])


def test_training_and_held_out_pairs_are_different_attributes() -> None:
    val, test = torch.tensor([[1], [0]]), torch.tensor([[0], [1]])
    data = build_data(2, 3, TRAIN, val, test)
    assert [data[USER_ITEM][name].tolist() for name in SPLIT_INDEX.values()] == [
        TRAIN.tolist(),
        val.tolist(),
        test.tolist(),
    ]
    assert data["user"].num_nodes == 2
    assert data["item"].num_nodes == 3


def test_sizes_may_be_integers_of_numpy() -> None:
    data = build_data(TRAIN[0].numpy().max() + 1, TRAIN[1].numpy().max() + 1, TRAIN)
    assert [type(data[node].num_nodes) for node in ("user", "item")] == [int, int]


def test_reverse_edges_hold_training_pairs_alone() -> None:
    data = build_data(2, 3, TRAIN, torch.tensor([[1], [0]]))
    assert data[ITEM_USER].edge_index.tolist() == [[0, 2, 1], [0, 0, 1]]


def test_absent_splits_are_empty_pairs() -> None:
    data = build_data(2, 3, TRAIN)
    assert data[USER_ITEM].val_edge_label_index.shape == data[USER_ITEM].test_edge_label_index.shape == (2, 0)


def test_modalities_are_the_two_dimensional_float_attributes_sorted_by_name() -> None:
    data = build_data(2, 3, TRAIN, features={"text": torch.zeros(3, 2), "image": torch.zeros(3, 4).half()})
    data["item"].price = torch.zeros(3)
    data["item"].genre = torch.zeros(3, 5, dtype=torch.long)
    data["item"].other = torch.zeros(4, 5)
    data["item"].text_mask = torch.ones(3, dtype=torch.bool)
    assert modalities(data) == ["image", "text"]
    assert modality_mask(data, "image") is None
    assert modality_mask(data, "text").all()


@pytest.mark.parametrize("sparse", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr])
def test_a_sparse_table_is_no_modality(sparse) -> None:
    data = build_data(2, 3, TRAIN, features={"text": torch.zeros(3, 2)})
    data["item"].genres = sparse(torch.eye(3))
    assert modalities(data) == ["text"]


def test_asking_for_modalities_changes_nothing() -> None:
    data = HeteroData()
    assert modalities(data) == []
    assert modality_mask(data, "text") is None
    assert data.node_types == []


def test_features_are_not_copied() -> None:
    x = torch.zeros(3, 2)
    assert build_data(2, 3, TRAIN, features={"text": x})["item"].text is x


@pytest.mark.parametrize(
    "ids", [torch.tensor([100, 101, 102]), np.array([100, 101, 102]), pd.Series(["100", "101", "102"]), [100, 101, 102]]
)
def test_original_ids_of_any_kind_become_a_list_of_strings(ids) -> None:
    data = build_data(2, 3, TRAIN, item_id=ids, title=iter(["a", None, float("nan")]))
    assert data["item"].item_id == ["100", "101", "102"]
    assert data["item"].title == ["a", "", ""]


def test_a_gap_among_titles_is_the_empty_one_in_every_kind_of_column() -> None:
    """The entries of pandas' own types are NA, of which no comparison is true or false."""
    gaps = pd.Series(["a", None, pd.NA], dtype="string")
    assert build_data(2, 3, TRAIN, title=gaps)["item"].title == ["a", "", ""]
    with pytest.raises(TypeError, match=r"1 entries that are neither, first: 1\.5"):
        build_data(2, 3, TRAIN, title=["a", 1.5, pd.NA])


@pytest.mark.parametrize("kind", [list, iter, np.array, pd.Series, torch.tensor])
def test_values_of_pairs_of_any_kind_become_tensors_and_keep_their_precision(kind) -> None:
    data = build_data(2, 3, TRAIN, rating=kind([1.0, 2.0, 3.0]), time=kind([1_400_000_000, 1_400_000_001, 5]))
    assert data[USER_ITEM].rating.tolist() == [1.0, 2.0, 3.0]
    assert data[USER_ITEM].time.tolist() == [1_400_000_000, 1_400_000_001, 5]
    assert build_data(2, 3, TRAIN, time=[1_400_000_000.0, 1_400_000_001.0, 5.0])[USER_ITEM].time.unique().numel() == 3


def test_values_that_are_tensors_are_not_copied() -> None:
    rating = torch.ones(3)
    assert build_data(2, 3, TRAIN, rating=rating)[USER_ITEM].rating is rating


def test_similarity_graphs_have_an_edge_type_for_each_node_type_and_modality() -> None:
    assert similar("user", "text") == ("user", "similar_text", "user")


def test_pyg_finds_nothing_wrong_with_the_schema() -> None:
    assert build_data(2, 3, TRAIN, features={"text": torch.zeros(3, 2)}, title=list("abc")).validate()


@pytest.mark.parametrize("name", ["image", "audio_vggish", "type", "training", "x"])
def test_any_plain_identifier_is_a_modality(name: str) -> None:
    check_modality_name(name)
    assert modalities(build_data(2, 3, TRAIN, features={name: torch.zeros(3, 2)})) == [name]


@pytest.mark.errors
@pytest.mark.parametrize("name", ["", "audio-vggish", "2d", "_x", "image_mask", "keys", "num_nodes", "title", "class"])
def test_a_name_that_storages_or_the_schema_use_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="A modality cannot be named"):
        build_data(2, 3, TRAIN, features={name: torch.zeros(3, 2)})


@pytest.mark.errors
def test_what_is_no_hetero_data_is_named(tmp_path: Path) -> None:
    for take in (random_split, leave_one_out_split, k_core, validate, lambda data: write_mmrec(data, tmp_path / "new")):
        with pytest.raises(TypeError, match=r"'data' must be a HeteroData in the library's schema \(got a dict\)"):
            take({})
    assert not (tmp_path / "new").exists()


@pytest.mark.errors
def test_an_id_out_of_range_is_refused_with_its_split() -> None:
    with pytest.raises(ValueError, match=r"'val\[1\]' must hold ids in \[0, 3\) for 3 items \(got 3 to 3\)"):
        build_data(2, 3, TRAIN, torch.tensor([[0], [3]]))


@pytest.mark.errors
def test_a_mask_without_its_features_is_refused() -> None:
    with pytest.raises(ValueError, match="'masks' names 'image', which 'features' does not hold"):
        build_data(2, 3, TRAIN, masks={"image": torch.ones(3, dtype=torch.bool)})


@pytest.mark.errors
@pytest.mark.parametrize("ids", ["abc", [1.5, 2.0, 3.0], [None, "a", "b"], torch.eye(3), torch.tensor(3)])
def test_original_ids_that_are_none_are_refused(ids) -> None:
    with pytest.raises(TypeError, match="'item_id' must be a list of strings or of whole numbers"):
        build_data(2, 3, TRAIN, item_id=ids)


@pytest.mark.errors
def test_values_of_pairs_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(TypeError, match="'time' must hold a number for every training pair"):
        build_data(2, 3, TRAIN, time=np.array(["2014-05-13"] * 3, dtype="datetime64[s]"))
