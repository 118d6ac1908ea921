"""``drepm graph``."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Parser, add_format
from drepm_pyg.cli.output import show
from drepm_pyg.cli.stages import Stages

__all__ = ["parser", "run"]

#: Passed on to ``knn_graph`` as they are.
_OPTIONS = (
    "metric",
    "loop",
    "index",
    "device",
    "min_similarity",
    "radius",
    "mutual",
    "symmetric",
    "measure_recall",
    "target_recall",
)


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm graph``."""
    parser = Parser("graph", "Connect every row of a feature matrix to its nearest rows, write the graph, describe it.")
    add = parser.add_argument
    add("features", type=str, help="a .npy file, float [N, F]; it may be larger than memory")
    add("--out", type=str, required=True, help="the file to write: .npz ('row' the centre, 'col'), .pt or .parquet")
    add("--k", type=int, default=10, help="neighbours per row")
    add("--metric", type=Literal["cosine", "ip", "l2"], default="cosine", help="what is near")
    add("--loop", type=bool, default=False, help="a row is one of its own neighbours")
    add(
        "--index",
        type=str,
        default="auto",
        help="'auto', 'exact', 'flat', 'ivf', 'hnsw', 'nsg', 'ivfpq' or a FAISS factory",
    )
    add("--device", type=str | None, default=None, help="where products are computed, such as 'cuda'")
    add("--mask", type=str | None, default=None, help="a .npy file, bool [N]: True where a row is present")
    add("--min_similarity", type=float | None, default=None, help="drop edges of a smaller similarity")
    add("--radius", type=float | None, default=None, help="drop edges of a larger distance (metric 'l2')")
    add("--mutual", type=bool, default=False, help="keep an edge only if both ends choose it")
    add(
        "--symmetric",
        type=Literal["none", "union", "intersection"],
        default="none",
        help="add missing reverses, or not",
    )
    add("--measure_recall", type=int, default=0, help="compare so many rows with the exact answer")
    add("--target_recall", type=float | None, default=None, help="tune an approximate index until it finds that share")
    add("--memory_budget", type=int | None, default=None, help="bytes of working memory; default: 2 GiB")
    add("--weight", type=bool, default=False, help="write the similarities, too, as 'weight'")
    add("--interactions", type=str | None, default=None, help="a data set whose items the rows are: adds the homophily")
    add("--plot", type=str | None, default=None, help="a .png file: how often rows are neighbours, and similarities")
    add_format(parser)
    return parser


def run(args: Namespace) -> None:
    """Build, write, and print what was built."""
    out = Path(args.out)
    _check_outputs(out, args.plot)
    from drepm_pyg._checks import said_of
    from drepm_pyg.cli.graph_summary import homophily, read_interactions, summary, taking_part
    from drepm_pyg.data.npy_file import map_array
    from drepm_pyg.graph import knn_graph, write_graph
    from drepm_pyg.graph.features import check_matrix
    from drepm_pyg.graph.progress import watching

    with Stages(4 + (args.interactions is not None) + (args.plot is not None)) as stage:
        stage(f"reading {args.features}")
        x, mask = map_array(args.features), None if args.mask is None else map_array(args.mask)
        with said_of(args.features):
            check_matrix(x, "x")
        interactions = None
        if args.interactions is not None:
            stage(f"reading {args.interactions}")
            interactions = read_interactions(args.interactions, len(x))
        rows = " x ".join(f"{size:,}" for size in x.shape)
        stage(f"searching the {args.k} nearest of {rows}")
        options = {name: args[name] for name in _OPTIONS}
        if args.memory_budget is not None:
            options["memory_budget"] = args.memory_budget
        with said_of(args.features), watching(stage.share):
            edge_index, weight, info = knn_graph(x, args.k, mask=mask, return_weight=True, return_info=True, **options)
        stage(f"writing {out}")
        write_graph(out, edge_index, weight if args.weight else None)
        stage("describing the graph")
        described, num_nodes = taking_part(edge_index, mask, len(x))
        record = {"output": args.out, "k": args.k, **summary(described, weight, num_nodes, metric=args.metric)}
        if interactions is not None:
            record |= homophily(edge_index, interactions)
        if args.plot is not None:
            from drepm_pyg.experiments.figures import draw_similarity_graph

            stage(f"drawing {args.plot}")
            what = {"cosine": "cosine similarity", "ip": "inner product", "l2": "distance"}[args.metric]
            draw_similarity_graph(Path(args.plot), described, weight, num_nodes, weight=what)
    show({**record, **asdict(info)}, args.format)


def _check_outputs(out: Path, plot: str | None) -> None:
    """What would fail only after a long search is said before it."""
    from drepm_pyg._checks import require
    from drepm_pyg.graph.io import format_of

    format_of(out)
    _check_folder("--out", out)
    if out.is_dir():
        raise IsADirectoryError(f"'--out' must be a file (got '{out}', a folder).")
    if plot is not None:
        drawn = Path(plot)
        if drawn.suffix != ".png" or drawn.is_dir():
            raise ValueError(f"'--plot' must end in .png, and be no folder (got '{plot}').")
        _check_folder("--plot", drawn)
        require("matplotlib", extra="plot", purpose="Drawing figures")


def _check_folder(option: str, path: Path) -> None:
    """The folder of a file is there and takes one."""
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"'{option}' names a folder that does not exist ('{path.parent}'). Create it first.")
    try:
        with TemporaryFile(dir=path.parent):  # permissions alone do not tell
            pass
    except OSError as error:
        raise PermissionError(
            f"'{option}' names a folder that takes no files ('{path.parent}': {error.strerror}). Take another one."
        ) from error
