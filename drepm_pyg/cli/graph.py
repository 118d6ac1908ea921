"""``drepm graph``."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Parser, add_format
from drepm_pyg.cli.output import show

__all__ = ["parser", "run"]


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm graph``."""
    parser = Parser("graph", "Connect every row of a feature matrix to its nearest rows, and write the graph.")
    parser.add_argument("features", type=str, help="a .npy file, float [N, F]")
    parser.add_argument(
        "--out", type=str, required=True, help="the .npz file to write: 'row' (centre), 'col' (neighbour)"
    )
    parser.add_argument("--k", type=int, default=10, help="neighbours per row")
    parser.add_argument("--metric", type=str, default="cosine", help="'cosine', 'ip' or 'l2'")
    parser.add_argument("--loop", type=bool, default=False, help="a row is one of its own neighbours")
    parser.add_argument(
        "--index", type=str, default="auto", help="'auto', 'flat', 'ivf', 'hnsw' or a FAISS factory string"
    )
    parser.add_argument("--device", type=str | None, default=None, help="where 'auto' computes, such as 'cuda'")
    parser.add_argument(
        "--mask", type=str | None, default=None, help="a .npy file, bool [N]: True where a row is present"
    )
    parser.add_argument("--weight", type=bool, default=False, help="write the similarities, too, as 'weight'")
    add_format(parser)
    return parser


def run(args: Namespace) -> None:
    """Build, write, and print what was built."""
    import torch

    from drepm_pyg.graph import knn_graph, write_graph

    x, mask = _load(args.features), None if args.mask is None else _load(args.mask)
    edge_index, weight, info = knn_graph(
        x,
        args.k,
        metric=args.metric,
        loop=args.loop,
        index=args.index,
        device=args.device,
        mask=mask,
        return_weight=True,
        return_info=True,
    )
    write_graph(args.out, edge_index, weight if args.weight else None)
    neighbor_of = torch.bincount(edge_index[0], minlength=len(x))
    summary = {
        "output": args.out,
        "nodes": len(x),
        "nodes with edges": int(edge_index[1].unique().numel()),
        "edges": edge_index.size(1),
        "k": args.k,
        "mean weight": float(weight.double().mean()) if weight.numel() else None,
        "never a neighbour": int((neighbor_of == 0).sum()),
        "most often a neighbour": int(neighbor_of.max()),
    }
    show({**summary, **asdict(info)}, args.format)


def _load(path: str) -> "torch.Tensor":  # noqa: F821 - the import costs seconds
    import numpy as np
    import torch

    from drepm_pyg._checks import CorruptFileError

    if not Path(path).is_file():
        raise FileNotFoundError(f"'{path}' does not exist. Pass a .npy file.")
    try:
        return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
    except (ValueError, EOFError, OSError, TypeError) as error:
        raise CorruptFileError(f"'{path}' cannot be read as a .npy array ({error}). Was the file truncated?") from error
