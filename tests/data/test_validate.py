"""One error with every fault, warnings for what is only suspicious."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch_geometric.transforms as T
from torch_geometric.data import HeteroData

from drepm_pyg.data import ITEM_USER, USER_ITEM, build_data, mask_duplicate_rows, modality_mask, similar, validate
from drepm_pyg.data.validate import find_faults

NUM_USERS, NUM_ITEMS = 4, 6


def good() -> HeteroData:
    train = torch.tensor([[0, 0, 1, 2, 3], [0, 1, 2, 3, 4]])
    features = {"text": torch.arange(1.0, 13.0).view(6, 2), "image": torch.arange(1.0, 19.0).view(6, 3)}
    return build_data(NUM_USERS, NUM_ITEMS, train, torch.tensor([[0], [5]]), torch.tensor([[1], [5]]), features)


def test_good_data_has_no_faults_and_no_warnings() -> None:
    assert validate(good()) == []


def test_data_with_graphs_in_place_of_features_are_good() -> None:
    data = good()
    del data["item"].text, data["item"].image
    for node, size in (("user", NUM_USERS), ("item", NUM_ITEMS)):
        graph = torch.stack([torch.arange(size).roll(1), torch.arange(size)])
        data[similar(node, "image")].edge_index = graph
        data[similar(node, "image")].edge_weight = torch.ones(size)
    assert validate(data) == []


def put(attribute: str, value: object) -> Callable[[HeteroData], None]:
    def change(data: HeteroData) -> None:
        data[USER_ITEM][attribute] = value
        if attribute == "edge_index" and isinstance(value, torch.Tensor):
            data[ITEM_USER].edge_index = value.flip(0)

    return change


def put_item(attribute: str, value: object) -> Callable[[HeteroData], None]:
    return lambda data: data["item"].__setitem__(attribute, value)


def put_graph(**attributes: object) -> Callable[[HeteroData], None]:
    def change(data: HeteroData) -> None:
        for name, value in attributes.items():
            data[similar("item", "text")][name] = value

    return change


def without(*path: str) -> Callable[[HeteroData], None]:
    def change(data: HeteroData) -> None:
        if len(path) == 1:
            del data[path[0]].num_nodes
        else:
            del data[path]

    return change


def with_nan() -> torch.Tensor:
    x = torch.arange(1.0, 13.0).view(6, 2)
    x[2, 1], x[4, 0] = torch.nan, torch.inf
    return x


FAULTS: dict[str, tuple[Callable[[HeteroData], None], str]] = {
    "user out of range": (
        put("val_edge_label_index", torch.tensor([[4], [0]])),
        "'val_edge_label_index' names 1 users outside [0, 4) (first: [4])",
    ),
    "negative item": (
        put("test_edge_label_index", torch.tensor([[0], [-1]])),
        "'test_edge_label_index' names 1 items outside [0, 6) (first: [-1])",
    ),
    "duplicate pair": (
        put("edge_index", torch.tensor([[0, 0, 1, 2, 3], [0, 0, 2, 3, 4]])),
        "'edge_index' holds 1 duplicate pairs (first: [(0, 0)])",
    ),
    "pair in train and val": (
        put("val_edge_label_index", torch.tensor([[0], [1]])),
        "1 pairs stand in both 'edge_index' and 'val_edge_label_index' (first: [(0, 1)])",
    ),
    "pair in train and test": (
        put("test_edge_label_index", torch.tensor([[0], [1]])),
        "1 pairs stand in both 'edge_index' and 'test_edge_label_index'",
    ),
    "pair in val and test": (
        put("test_edge_label_index", torch.tensor([[0], [5]])),
        "1 pairs stand in both 'val_edge_label_index' and 'test_edge_label_index'",
    ),
    "empty training split": (
        put("edge_index", torch.empty(2, 0, dtype=torch.long)),
        "The training split is empty.",
    ),
    "string ids in a list": (
        put("edge_index", [["ann"], ["hat"]]),
        "'edge_index' must be a long tensor [2, E] (got a list of string ids",
    ),
    "string ids in an array": (
        put("edge_index", np.array([["ann"], ["hat"]])),
        "'edge_index' must be a long tensor [2, E] (got a ndarray of string ids",
    ),
    "ids in a list": (
        put("edge_index", [[0], [0]]),
        "'edge_index' must be a long tensor [2, E] (got a list).",
    ),
    "float ids": (
        put("val_edge_label_index", torch.tensor([[0.0], [5.0]])),
        "'val_edge_label_index' must be a long tensor [2, E] (got torch.float32, [2, 1])",
    ),
    "pairs transposed": (
        put("edge_index", torch.zeros(5, 2, dtype=torch.long)),
        "'edge_index' must be a long tensor [2, E] (got torch.int64, [5, 2])",
    ),
    "no training pairs at all": (without(*USER_ITEM), "edge_index, the training pairs, is missing"),
    "held-out pair among the reverse edges": (
        lambda data: data[ITEM_USER].__setattr__("edge_index", torch.tensor([[0, 1, 2, 3, 5], [0, 0, 1, 2, 0]])),
        "is not the training pairs reversed",
    ),
    "NaN and infinity": (
        put_item("text", with_nan()),
        "'text' holds NaN or infinite values in 2 of 6 rows (first: [2, 4])",
    ),
    "a rating that is none": (
        put("rating", torch.tensor([1.0, 2.0, torch.nan, 3.0, 4.0])),
        "'rating' holds NaN or infinite values in 1 pairs",
    ),
    "wrong row count": (put_item("text", torch.ones(5, 2)), "'text' has 5 rows for 6 items."),
    "no width": (put_item("text", torch.ones(6, 0)), "'text' must have the shape [6, F] with F > 0 (got [6, 0])"),
    "a third axis": (put_item("text", torch.ones(6, 2, 2)), "'text' must have the shape [6, F]"),
    "a NumPy array": (put_item("text", np.ones((6, 2))), "'text' must be a torch tensor (got a ndarray)"),
    "float mask": (put_item("text_mask", torch.ones(6)), "'text_mask' must be a bool tensor [6]"),
    "short mask": (put_item("text_mask", torch.ones(5, dtype=torch.bool)), "'text_mask' must be a bool tensor [6]"),
    "mask of nothing": (
        put_item("audio_mask", torch.ones(6, dtype=torch.bool)),
        "'audio_mask' belongs to no features: 'audio' is missing.",
    ),
    "too few titles": (put_item("title", ["a"]), "data['item'].title has 1 entries for 6 items."),
    "ids in a tensor": (
        put_item("item_id", torch.arange(6)),
        "data['item'].item_id must be a list of strings (got torch.int64, [6]).",
    ),
    "ids as numbers": (
        put_item("item_id", [1, 2, 3, 4, 5, 6]),
        "data['item'].item_id must be a list of strings (got a list that holds 1).",
    ),
    "ids that occur twice": (
        put_item("item_id", ["b", "b", "c", "a", "a", "d"]),
        "data['item'].item_id holds 2 ids that occur more than once (first: ['b', 'a']).",
    ),
    "ratings in an array": (
        put("rating", np.ones(5)),
        "'rating' must be a tensor [5], a value for each pair of 'edge_index' (got a ndarray).",
    ),
    "held-out time stamps in a list": (
        put("val_time", [1.0]),
        "'val_time' must be a tensor [1], a value for each pair of 'val_edge_label_index' (got a list).",
    ),
    "a time stamp for all": (
        put("time", torch.tensor(1.0)),
        "'time' must be a tensor [5], a value for each pair of 'edge_index' (got torch.float32, []).",
    ),
    "ratings in a column": (
        put("rating", torch.ones(5, 1)),
        "'rating' must be a tensor [5], a value for each pair of 'edge_index' (got torch.float32, [5, 1]).",
    ),
    "too few ratings": (put("rating", torch.ones(2)), "'rating' has 2 values for the 5 pairs of 'edge_index'."),
    "graph id out of range": (
        put_graph(edge_index=torch.tensor([[6], [0]])),
        "'edge_index' names 1 items outside [0, 6) (first: [6])",
    ),
    "graph weights of another length": (
        put_graph(edge_index=torch.tensor([[1], [0]]), edge_weight=torch.ones(2)),
        "'edge_weight' must hold one value for each of 1 edges (got [2])",
    ),
    "graph weights in an array": (
        put_graph(edge_index=torch.tensor([[1], [0]]), edge_weight=np.ones(1)),
        "'edge_weight' must hold one value for each of 1 edges (got a ndarray)",
    ),
    "infinite graph weight": (
        put_graph(edge_index=torch.tensor([[1], [0]]), edge_weight=torch.tensor([torch.inf])),
        "'edge_weight' holds NaN or infinite values",
    ),
    "no number of users": (without("user"), "data['user'].num_nodes must be a positive integer (got None)."),
}


@pytest.mark.errors
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore:Unable to accurately infer 'num_nodes':UserWarning")
def test_a_fault_is_found_and_named(fault: str) -> None:
    change, message = FAULTS[fault]
    data = good()
    change(data)
    with pytest.raises(ValueError, match=re.escape(message)):
        validate(data)


@pytest.mark.errors
def test_all_faults_come_in_one_error() -> None:
    data = good()
    kinds = ["user out of range", "pair in train and test", "NaN and infinity", "short mask", "graph id out of range"]
    for kind in kinds:
        FAULTS[kind][0](data)
    with pytest.raises(ValueError, match="has 5 faults") as error:
        validate(data)
    found = find_faults(data)
    assert [kind for kind in kinds if not any(FAULTS[kind][1] in fault for fault in found)] == []
    assert str(error.value).splitlines()[1:] == [f"  - {fault}" for fault in found]


def test_masks_of_a_node_split_belong_to_no_modality() -> None:
    data = good()
    data["item"].y = torch.arange(NUM_ITEMS)
    split = T.RandomNodeSplit(num_val=1, num_test=1)(data)
    assert "train_mask" in split["item"]
    assert validate(split) == []
    split["item"].train = torch.ones(NUM_ITEMS, 2)  # unless it is the name of one
    split["item"].train_mask = torch.ones(NUM_ITEMS)
    with pytest.raises(ValueError, match=r"'train_mask' must be a bool tensor"):
        validate(split)


def test_an_empty_held_out_split_is_no_fault() -> None:
    data = good()
    data[USER_ITEM].val_edge_label_index = torch.empty(2, 0, dtype=torch.long)
    del data[USER_ITEM].test_edge_label_index
    assert validate(data) == []


def only_warning(data: HeteroData) -> str:
    (warning,) = validate(data)
    return warning


def test_users_without_a_training_item_are_counted() -> None:
    data = good()
    data["user"].num_nodes = 7
    assert only_warning(data) == "3 of 7 users have no training pair (first: [4, 5, 6])."
    data[USER_ITEM].test_edge_label_index = torch.tensor([[5, 6, 6], [0, 0, 1]])
    assert "2 of them have held-out pairs" in only_warning(data)


def test_zero_rows_are_counted_unless_masked() -> None:
    data = good()
    data["item"].text[3] = 0
    assert "'text' has 1 all-zero rows that no mask marks as missing (first: [3])" in only_warning(data)
    data["item"].text_mask = torch.tensor([True, True, True, False, True, True])
    assert validate(data) == []


def test_float64_is_warned_of() -> None:
    data = good()
    data["item"].text = data["item"].text.double()
    assert "'text' is float64" in only_warning(data)


def test_integer_tables_are_said_to_be_no_modality() -> None:
    data = good()
    data["item"].genre = torch.ones(6, 3, dtype=torch.long)
    assert "'genre' is no modality because it holds torch.int64" in only_warning(data)


@pytest.mark.parametrize("sparse", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr])
def test_sparse_tables_are_said_to_be_no_modality(sparse) -> None:
    data = good()
    data["item"].genre = sparse(torch.eye(6))
    assert f"'genre' is no modality because it is stored as {data['item'].genre.layout}" in only_warning(data)


def test_titles_may_be_alike_and_ids_empty() -> None:
    data = good()
    data["item"].title, data["item"].item_id = ("Hamlet",) * 6, ["a", "", "", "b", "c", "d"]
    assert validate(data) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_identical_rows_are_counted_and_the_largest_group_is_named(dtype: torch.dtype) -> None:
    data = good()
    data["item"].image = data["item"].image.to(dtype)
    data["item"].image[[1, 3, 5]] = data["item"].image.float().mean(dim=0).to(dtype)
    data["item"].image[2] = data["item"].image[0]
    warning = only_warning(data)
    assert "'image' has 5 rows that are not unique, in 2 groups" in warning
    assert "the largest counts 3 (first items: [1, 3, 5])" in warning
    assert "mask_duplicate_rows(data, 'image')" in warning


def test_masking_the_duplicates_silences_the_warning_and_leaves_the_input_alone() -> None:
    data = good()
    data["item"].image[[1, 3, 5]] = 7.0
    masked = mask_duplicate_rows(data, "image")
    assert modality_mask(masked, "image").tolist() == [True, False, True, False, True, False]
    assert modality_mask(data, "image") is None
    assert validate(masked) == []


def test_masking_twice_takes_the_next_group() -> None:
    data = good()
    data["item"].image[[1, 3, 5]] = 7.0
    data["item"].image[[0, 4]] = 8.0
    masked = mask_duplicate_rows(mask_duplicate_rows(data, "image"), "image")
    assert modality_mask(masked, "image").tolist() == [False, False, True, False, False, False]


def test_zero_rows_can_be_masked_as_duplicates() -> None:
    data = good()
    data["item"].image[[1, 3]] = 0.0
    assert modality_mask(mask_duplicate_rows(data, "image"), "image").logical_not().nonzero().flatten().tolist() == [
        1,
        3,
    ]


@pytest.mark.errors
def test_masking_needs_duplicates_and_no_graph_of_the_modality() -> None:
    data = good()
    with pytest.raises(ValueError, match="'image' has no identical rows to mask"):
        mask_duplicate_rows(data, "image")
    with pytest.raises(ValueError, match="'modality' must be one of 'image', 'text' \\(got 'audio'\\)"):
        mask_duplicate_rows(data, "audio")
    put_graph(edge_index=torch.tensor([[1], [0]]))(data)
    with pytest.raises(ValueError, match="'data' holds graphs of 'text'"):
        mask_duplicate_rows(data, "text")


def test_what_stands_in_an_absent_row_is_no_fault() -> None:
    data = good()
    data["item"].text = with_nan()
    data["item"].text_mask = torch.tensor([True, True, False, True, False, True])
    assert validate(data) == []
