"""The similarity graphs that a HeteroData holds already."""

from collections.abc import Collection, Sequence

from torch_geometric.data import HeteroData

from drepm_pyg.data import similar
from drepm_pyg.data.schema import check_data, graph_modalities

__all__ = ["stored_modalities"]


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
