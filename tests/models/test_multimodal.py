"""What models with item features read out of the data, and what they say where it does not fit."""

from typing import Any

import pytest
import torch

from drepm_pyg.models import MultimodalModel, get_model
from drepm_pyg.models.multimodal import item_features, item_masks, select_graphs, select_modalities, similarity_graphs
from tests import toy


def test_a_model_is_built_for_the_sizes_and_widths_of_the_data() -> None:
    data = toy.toy_data(masked=True)
    whole, part = MultimodalModel.from_data(data), MultimodalModel.from_data(data, modalities=["text"])
    assert (whole.num_users, whole.num_items, whole.in_channels) == (toy.USERS, toy.ITEMS, toy.WIDTHS)
    assert part.in_channels == {"text": toy.WIDTHS["text"]}
    assert list(part.features(data)) == list(part.masks(data)) == ["text"]
    assert whole.features(data)["image"] is data["item"].image
    assert whole.masks(data)["image"] is data["item"].image_mask


def test_masks_are_those_of_the_modalities_that_some_item_lacks() -> None:
    assert item_masks(toy.toy_data(), toy.WIDTHS) == {}
    assert list(item_masks(toy.toy_data(masked=True), toy.WIDTHS)) == list(toy.WIDTHS)


def test_graphs_come_with_their_weights_or_without() -> None:
    data = toy.toy_data()
    del data["item", "similar_text", "item"].edge_weight
    found = similarity_graphs(data, "item", ["text", "image"])
    assert list(found) == ["text", "image"]
    assert found["text"][1] is None
    assert found["image"][1] is data["item", "similar_image", "item"].edge_weight


@pytest.mark.parametrize("select", [select_modalities, lambda data, names=None: select_graphs(data, "item", names)])
def test_modalities_keep_the_order_that_is_asked_for(select: Any) -> None:
    data = toy.toy_data()
    assert sorted(select(data)) == sorted(toy.WIDTHS)
    assert select(data, ["text", "image"]) == ["text", "image"]
    assert select(data, ["image", "text"]) == ["image", "text"]


@pytest.mark.errors
@pytest.mark.parametrize("select", [select_modalities, lambda data, names=None: select_graphs(data, "item", names)])
def test_names_that_do_not_fit_are_refused(select: Any) -> None:
    data = toy.toy_data()
    with pytest.raises(TypeError, match=r"'modalities' must be a list of names \(got the string 'text'\)"):
        select(data, "text")
    for names in ([], ["sound"], ["text", "text"]):
        with pytest.raises(ValueError, match=r"'modalities' must be distinct names of \[.*\] \(got \["):
            select(data, names)
    with pytest.raises(ValueError, match="The data has no modality: the model needs"):
        select(toy.toy_data(widths={}))


@pytest.mark.errors
def test_features_and_graphs_that_are_missing_are_named() -> None:
    data = toy.toy_data()
    with pytest.raises(ValueError, match=r"data\['item'\]\.sound is missing \(the data has \['image', 'text'\]\)"):
        item_features(data, {"sound": 3}, toy.ITEMS)
    with pytest.raises(ValueError, match=r"data\['item'\]\.text has 5 columns, the model was built for 4"):
        item_features(data, {"text": 4}, toy.ITEMS)
    with pytest.raises(ValueError, match=r"The data has no edges \('item', 'similar_sound', 'item'\)\. Add them"):
        similarity_graphs(data, "item", ["sound"])
    assert torch.equal(item_features(data, {"text": 5}, toy.ITEMS)["text"], data["item"].text)


@pytest.mark.errors
@pytest.mark.parametrize("items", [9, 15])
@pytest.mark.parametrize("name", ["vbpr", "mmgcn", "mgcn", "bm3", "dualgnn", "drepmrec"])
def test_data_of_other_items_is_named(name: str, items: int) -> None:
    model = get_model(name).from_data(toy.toy_data())
    with pytest.raises(ValueError, match=rf"has {items} rows, the model was built for 11 items|in \[0, 11\) for 11"):
        model(toy.toy_data(num_items=items))
