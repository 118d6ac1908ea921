"""What every model gives: tables, and the lines they came from."""

import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data import USER_ITEM
from drepm_pyg.models import FREEDOM, VBPR, LightGCN, LossOutput, RecommenderModel, Representations, Triples, get_model
from tests import toy

GENERAL, BEHAVIOR, MODAL = ((torch.full((2, 1), value), torch.full((3, 1), -value)) for value in (1.0, 2.0, 3.0))


def test_lines_are_the_general_tables_then_the_behavior_then_the_modal_line() -> None:
    tables = Representations(*GENERAL, *BEHAVIOR, *MODAL)
    lines = tables.lines()
    assert list(lines) == ["general", "behavior", "modal"]
    assert lines["general"] is tables
    assert (lines["behavior"].user, lines["behavior"].item) == BEHAVIOR
    assert (lines["modal"].user, lines["modal"].item) == MODAL


def test_a_line_that_the_model_does_not_have_is_left_out() -> None:
    assert list(Representations(*GENERAL).lines()) == ["general"]
    assert list(Representations(*GENERAL, *BEHAVIOR).lines()) == ["general", "behavior"]
    assert list(Representations(*GENERAL, modal_user=MODAL[0], modal_item=MODAL[1]).lines()) == ["general", "modal"]
    assert list(Representations(*GENERAL, modal_user=MODAL[0]).lines()) == ["general"]


def test_the_total_is_the_sum_of_the_parts() -> None:
    output = LossOutput.from_parts(bpr=torch.tensor(1.5), reg=torch.tensor(2.0))
    assert output.total == 3.5
    assert list(output.parts) == ["bpr", "reg"]


@pytest.mark.errors
def test_a_loss_has_parts_and_each_is_a_scalar() -> None:
    with pytest.raises(ValueError, match=r"'parts' must name at least one part of the loss \(got none\)"):
        LossOutput.from_parts()
    with pytest.raises(TypeError, match=r"'bpr' must be a torch tensor \(got a float\)"):
        LossOutput.from_parts(bpr=1.0)
    with pytest.raises(ValueError, match=r"'reg' must be a scalar \(got the shape \[3\]\)\. Reduce it: reg\.mean\(\)"):
        LossOutput.from_parts(bpr=torch.tensor(1.0), reg=torch.ones(3))


@pytest.mark.errors
@pytest.mark.parametrize("model", [LightGCN, VBPR, FREEDOM])
def test_sizes_are_those_of_the_data_and_must_be_known(model: type[RecommenderModel]) -> None:
    with pytest.raises(TypeError, match=r"'data' must be a HeteroData in the library's schema \(got a Tensor\)"):
        model.from_data(torch.ones(2, 3))
    data = toy.toy_data()
    data["item"].num_nodes = None
    del data["item"].num_nodes
    with pytest.raises(ValueError, match=r"data\['item'\]\.num_nodes is not set\. Set it to the number of items"):
        model.from_data(data)
    with pytest.raises(ValueError, match=r"data\['user'\]\.num_nodes is not set"):
        model.from_data(HeteroData())


@pytest.mark.errors
@pytest.mark.parametrize(
    "name", ["lightgcn", "mmgcn", "dualgnn", "bm3", "freedom", "mgcn", "drepmrec", "itemknn", "mostpopular"]
)
def test_pairs_under_another_name_are_told_of(name: str) -> None:
    data = toy.toy_data()
    model = get_model(name).from_data(data)
    data["user", "rates", "item"].edge_index = data[USER_ITEM].edge_index
    del data[USER_ITEM]
    with pytest.raises(ValueError, match=r"The model needs the training pairs, .* \(there are edges .*'rates', 'item'"):
        model(data)


@pytest.mark.errors
def test_a_batch_and_ids_of_another_kind_are_named() -> None:
    data = toy.toy_data()
    model, batch = LightGCN.from_data(data), toy.toy_batch(data)
    with pytest.raises(TypeError, match=r"'batch' must be Triples\(user, positive, negative\) \(got a tuple\)"):
        model.loss(data, tuple(batch.tensors()))
    with pytest.raises(ValueError, match=r"'user' must be a vector of ids \(got the shape \[1, 2\]\)"):
        model.score(data, torch.tensor([[0, 1]]))
    with pytest.raises(ValueError, match=r"'item' must be a vector of ids \(got the shape \[\]\)"):
        model.score(data, torch.tensor([0]), torch.tensor(1))
    with pytest.raises(TypeError, match=r"'user' must hold integer ids \(got torch.float32\)"):
        model.score(data, torch.tensor([0.0]))
    short = torch.tensor([1], dtype=torch.int16)
    with pytest.raises(TypeError, match=r"'item' must hold ids in int64 or int32 \(got torch.int16\)\. Pass item.long"):
        model.score(data, torch.tensor([0]), short)
    with pytest.raises(TypeError, match=r"'positive' must hold ids in int64 or int32 \(got torch.int16\)"):
        Triples(torch.tensor([0]), short, torch.tensor([2]))
