"""The similarity graphs of one run after another."""

from pathlib import Path

from torch_geometric.data import HeteroData

from drepm_pyg.experiments.experiment import Experiment

__all__ = ["GraphsAtHand"]


class GraphsAtHand:
    """The data with the graphs of the run at hand, which are kept for the next: runs of one model mostly want the same.

    Args:
        data: without similarity graphs; it is not changed.
        cache: where downloads and graphs are kept.
    """

    def __init__(self, data: HeteroData, cache: Path) -> None:
        self.data, self.cache = data, cache
        self.key: object = None
        self.ready = data

    def of(self, run: Experiment) -> HeteroData:
        """The data with the graphs that the model of ``run`` reads."""
        key = (run.model_class.graph_nodes, run.graphs)
        if self.key != key:
            self.key, self.ready = key, run.with_graphs(self.data, self.cache)
        return self.ready
