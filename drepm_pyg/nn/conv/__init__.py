"""Message passing without parameters: LightGCN's convolution and the one over similarity graphs."""

from drepm_pyg.nn.conv.knn_graph import KNNGraphConv
from drepm_pyg.nn.conv.light_gcn import LightGCNConv

__all__ = ["KNNGraphConv", "LightGCNConv"]
