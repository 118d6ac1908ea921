"""The similarity graphs that a HeteroData holds already, and how many nodes they have."""

from collections.abc import Collection, Mapping, Sequence, Set

from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_choice, check_list
from drepm_pyg.data import USER_ITEM, similar
from drepm_pyg.data.schema import graph_modalities
from drepm_pyg.typing import OptTensor, Tensor

__all__ = [
    "NODES",
    "check_data",
    "check_modalities",
    "check_name",
    "check_nodes",
    "node_count",
    "shown",
    "stored_graph",
    "stored_modalities",
    "training_pairs",
]

NODES = ("item", "user")

_ALWAYS = object()  # equal to nothing: the argument is shown whatever it is


def check_nodes(nodes: Sequence[str]) -> None:
    """A list of distinct node types, not empty."""
    check_list(nodes=nodes)
    for node in nodes:
        check_choice(NODES, nodes=node)
    if not nodes or len(set(nodes)) != len(nodes):
        raise ValueError(f"'nodes' must name distinct node types (got {list(nodes)}).")


def check_modalities(modalities: Sequence[str] | None) -> None:
    """Names in a list, one at least."""
    if modalities is None:
        return
    if not isinstance(modalities, Set):  # as a mapping's keys are
        check_list(modalities=modalities)
    if not modalities:
        raise ValueError("'modalities' must name one at least (got none). Leave it out for all that there are.")


def check_name(name: str) -> None:
    """A text; what it may be depends on what it names."""
    if not isinstance(name, str):
        raise TypeError(f"'name' must be a string (got {name!r}, a {type(name).__name__}).")


def check_data(data: HeteroData, need: str) -> None:
    """Data with users and items; ``need`` says who asks for it."""
    if not isinstance(data, HeteroData):
        raise TypeError(
            f"{need} needs a HeteroData with data['item'] (got {type(data).__name__}). For one matrix call knn_graph."
        )


def shown(transform: object, arguments: Mapping[str, object], defaults: Mapping[str, object]) -> str:
    """The call that made a transform, but for what is at its default.

    All that decides the result must stand in it: PyG compares it with what a data set was processed with.
    """
    given = [f"{name}={value!r}" for name, value in arguments.items() if value != defaults.get(name, _ALWAYS)]
    return f"{type(transform).__name__}({', '.join(given)})"


def stored_modalities(data: HeteroData, nodes: Sequence[str], wanted: Collection[str] | None) -> dict[str, list[str]]:
    """By node type, the modalities whose graphs are asked for; types of which there is no such graph are left out.

    Raises:
        ValueError: if none is there, or a node type has some of the ``wanted`` ones and lacks others.
    """
    check_data(data, "this transform")
    found: dict[str, list[str]] = {}
    for node in nodes:
        present = graph_modalities(data, node)
        chosen = present if wanted is None else [name for name in wanted if name in present]
        if chosen:
            found[node] = chosen
    for node, chosen in found.items():
        missing = [name for name in wanted or () if name not in chosen]
        if missing:
            raise ValueError(
                f"data has no edges {similar(node, missing[0])} (its '{node}' graphs: {graph_modalities(data, node)}). "
                f"Add them with AddSimilarityGraphs, or leave '{node}' out of 'nodes'."
            )
    if not found:
        names = "any modality" if wanted is None else str(sorted(wanted))
        raise ValueError(f"data has no similarity graph of {names} over {list(nodes)}. Put AddSimilarityGraphs before.")
    return found


def stored_graph(data: HeteroData, node: str, modality: str) -> tuple[Tensor, OptTensor]:
    """``edge_index``, and ``edge_weight`` or None where every edge weighs 1."""
    store = data[similar(node, modality)]
    return store.edge_index, store.get("edge_weight")


def node_count(data: HeteroData, node: str) -> int:
    """The number of nodes, which must be told: where only edges are known, isolated nodes at the end are not."""
    store = data[node] if node in data.node_types else {}  # asking for a store that is not there makes one
    count = store.get("num_nodes")
    if count is None:
        sizes = {value.size(0) for value in store.values() if isinstance(value, Tensor) and value.ndim > 0}
        if len(sizes) != 1:
            raise ValueError(f"data['{node}'].num_nodes is not set. Set it to the number of {node}s.")
        count = sizes.pop()
    return int(count)


def training_pairs(data: HeteroData, need: str) -> Tensor:
    """The training pairs, ``data['user', 'interacts', 'item'].edge_index``; ``need`` says who asks for them."""
    check_data(data, need)
    if USER_ITEM not in data.edge_types or "edge_index" not in data[USER_ITEM]:
        raise ValueError(f"{need} needs the training pairs, data{list(USER_ITEM)}.edge_index, which are not there.")
    pairs: Tensor = data[USER_ITEM].edge_index
    return pairs
