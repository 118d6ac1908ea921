"""What the models with item features share: widths from the data, features, masks and similarity graphs out of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data import modalities as modalities_of
from drepm_pyg.data import modality_mask, similar
from drepm_pyg.data.schema import graph_modalities, stored_graph
from drepm_pyg.models.base import RecommenderModel, Triples, sizes_of
from drepm_pyg.nn.modality_dict import check_in_channels
from drepm_pyg.typing import Float, Tensor

__all__ = [
    "MultimodalModel",
    "NamedItems",
    "item_features",
    "item_masks",
    "select_graphs",
    "select_modalities",
    "similarity_graphs",
]

_WORTH = 2  # items in all for one that a batch names, from which looking up pays (measured)

Model = TypeVar("Model", bound="MultimodalModel")


def select_modalities(data: HeteroData, modalities: Sequence[str] | None = None) -> list[str]:
    """The item modalities of ``data``, or the given subset of them in the given order.

    Raises:
        ValueError: where ``data`` has no modality, or lacks one that was asked for.
    """
    return _chosen(modalities, modalities_of(data), "a feature matrix such as data['item'].text")


def select_graphs(data: HeteroData, node: str, modalities: Sequence[str] | None = None) -> list[str]:
    """The modalities in which ``data`` has a similarity graph of ``node``, or the given subset in the given order.

    Raises:
        ValueError: where ``data`` has no such graph, or lacks one that was asked for.
    """
    present = graph_modalities(data, node)
    return _chosen(modalities, present, f"a graph ('{node}', 'similar_<modality>', '{node}') from AddSimilarityGraphs")


def _chosen(modalities: Sequence[str] | None, present: list[str], need: str) -> list[str]:
    if isinstance(modalities, str):
        raise TypeError(f"'modalities' must be a list of names (got the string {modalities!r}). Pass [{modalities!r}].")
    if not present:
        raise ValueError(f"The data has no modality: the model needs {need}.")
    chosen = present if modalities is None else list(modalities)
    if not chosen or not set(chosen) <= set(present) or len(set(chosen)) != len(chosen):
        raise ValueError(f"'modalities' must be distinct names of {present} (got {chosen}).")
    return chosen


def item_features(data: HeteroData, in_channels: Mapping[str, int], num_items: int) -> dict[str, Tensor]:
    """The items' raw feature matrices ``[I, F]`` by modality, checked against their number and ``in_channels``."""
    present = modalities_of(data)
    features = {}
    for name, width in in_channels.items():
        if name not in present:
            raise ValueError(f"data['item'].{name} is missing (the data has {present}). Give the model data with it.")
        features[name] = data["item"][name]
        if features[name].size(1) != width:
            raise ValueError(
                f"data['item'].{name} has {features[name].size(1)} columns, the model was built for {width}. "
                "Build the model with from_data(data)."
            )
        if features[name].size(0) != num_items:
            raise ValueError(
                f"data['item'].{name} has {features[name].size(0)} rows, the model was built for {num_items} items. "
                "Build the model with from_data(data)."
            )
    return features


def item_masks(data: HeteroData, modalities: Iterable[str]) -> dict[str, Tensor]:
    """The masks ``[I]`` (True: the item has the modality) of the modalities that some item lacks."""
    masks = {name: modality_mask(data, name) for name in modalities}
    return {name: mask for name, mask in masks.items() if mask is not None}


def similarity_graphs(
    data: HeteroData, node: str, modalities: Iterable[str]
) -> dict[str, tuple[Tensor, Tensor | None]]:
    """The similarity graph of ``node`` ("item" or "user") per modality: ``edge_index``, and ``edge_weight`` or None."""
    graphs = {}
    for name in modalities:
        edge_type = similar(node, name)
        if edge_type not in data.edge_types:
            raise ValueError(
                f"The data has no edges {edge_type}. Add them with "
                f"drepm_pyg.graph.AddSimilarityGraphs(k=10, loop=True)(data)."
            )
        graphs[name] = stored_graph(data, node, name)
    return graphs


class NamedItems:
    """The items that a batch names, each once: raw features are looked up and projected for them alone.

    Where they are more than half of all items the tables are taken as they are: to look rows up costs as much as to
    project them, and what is kept of a whole table (:func:`drepm_pyg.nn.tall_product.tall_product`) serves every batch.

    Args:
        batch: the triples, whose positives and negatives are meant.
        num_items: number of items I.
    """

    def __init__(self, batch: Triples, num_items: int) -> None:
        self.place = batch.items  # of each of the batch's items among the rows
        self.ids: Tensor | None = None
        if self.place.device.type != "cpu":  # to count the distinct ones would make a GPU wait
            distinct, place = self.place, torch.arange(len(self.place), device=self.place.device)
        else:
            distinct, place = self.place.unique(return_inverse=True)
        if num_items >= _WORTH * len(distinct):
            self.ids, self.place = distinct, place

    def of_each(self, tables: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The rows of the items in tables by modality, features or masks."""
        if self.ids is None:
            return dict(tables)
        return {name: table.index_select(0, self.ids) for name, table in tables.items()}

    def rows_of(self, projected: Float[Tensor, "N D"]) -> Float[Tensor, "C D"]:
        """The rows of the batch's positives, then of its negatives, from what was made of :meth:`of_each`."""
        return projected.index_select(0, self.place)


class MultimodalModel(RecommenderModel):
    """A model with item features: one width per modality, read from the data by :meth:`from_data`.

    Args:
        num_users: number of users U.
        num_items: number of items I.
        in_channels: width F of the raw features of each modality.
    """

    def __init__(self, num_users: int, num_items: int, in_channels: Mapping[str, int]) -> None:
        super().__init__(num_users, num_items)
        check_in_channels(in_channels)
        self.in_channels = dict(in_channels)

    @classmethod
    def from_data(
        cls: type[Model], data: HeteroData, *, modalities: Sequence[str] | None = None, **hyper_parameters: Any
    ) -> Model:
        """Build the model with the sizes of ``data`` and the widths of its ``modalities`` (default: all of them).

        Raises:
            TypeError: as :meth:`RecommenderModel.from_data`.
            ValueError: as :meth:`RecommenderModel.from_data`, or where ``modalities`` are not distinct names of the
                data's.
        """
        sizes = sizes_of(data)
        in_channels = {name: data["item"][name].size(1) for name in select_modalities(data, modalities)}
        return cls(*sizes, in_channels, **hyper_parameters)

    def features(self, data: HeteroData) -> dict[str, Tensor]:
        """The raw features ``[I, F]`` of this model's modalities."""
        return item_features(data, self.in_channels, self.num_items)

    def masks(self, data: HeteroData) -> dict[str, Tensor]:
        """The masks ``[I]`` of this model's modalities that some item lacks."""
        return item_masks(data, self.in_channels)
