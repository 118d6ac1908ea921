"""How fast are similarity graphs built? Ours against FAISS, scikit-learn, PyG's index and plain blocks.

Parts (``--rows``): ``items`` and ``narrow``, exact graphs of wide features and of more, narrower rows, also as a
share of the GEMM peak over the whole call; ``users``, exact graphs of mean features against building their matrix;
``points``, exact graphs of point clouds, one large or many small ones; ``growth``, many narrow rows and the recall of
approximate indexes. Peak memory is the growth of the resident size in a process of its own; scores are cosines but for
points, k = 10.
"""

import argparse
import importlib
import importlib.util
import time
from collections.abc import Callable

import numpy as np
import torch
from kit import baby, machine
from kit.growth import exponent
from kit.memory import in_child, peak_of
from kit.report import Report, parser, ratio, show_case
from kit.timing import Timing, compare
from torch.nn import functional as F
from torch_geometric.data import HeteroData

from drepm_pyg.data import USER_ITEM
from drepm_pyg.graph import AddSimilarityGraphs, knn_graph, user_knn_graph
from drepm_pyg.typing import Tensor

K = 10
BLOCK = 1024
#: Users, items and training pairs of the field's data sets.
USER_GRAPHS = {"Baby": (baby.USERS, baby.ITEMS, 118_551), "Sports": (35_598, 18_357, 218_409)}
#: Both graphs in one call, less the item graph alone: by its own route, which makes no Gram matrix, and by one.
BESIDE = {
    "AddSimilarityGraphs, beyond the item graph": "auto",
    "AddSimilarityGraphs, beyond an item graph by 'gram'": "gram",
}
#: The user graph without the items' inner products: slower, in less memory.
DIRECT = "user_knn_graph, index='blocks'"
#: Where each builder of the growth part comes from; one that is not installed is told so.
GROWTH = {
    "ours, index='auto'": None,
    "FAISS flat": "faiss",
    "FAISS IVF": "faiss",
    "FAISS HNSW": "faiss",
    "hnswlib": "hnswlib",
    "pynndescent": "pynndescent",
}


def main() -> None:
    args = _parse()
    if args.case:
        show_case(_measure_users(args.case) if args.case["part"] == "users" else _measure_growth(args.case))
        return
    limits = machine.limits(quick=args.quick)
    report = Report(args, limits=limits)
    if "items" in args.rows:
        for count in [300] if args.quick else [7_050, 18_357]:
            width = 64 if args.quick else 4096
            rows = _items(count, width, args.rounds, limits["gemm_gflops"])
            title = f"Exact graph of {count:,} items, width {width}, k = {K}"
            note = f"{2e-9 * count**2 * width:,.0f} GFLOP as a general product; by symmetry half of them are needed."
            report.table(f"items {count}", title, rows, note=note)
    if "narrow" in args.rows:
        count, width = (300, 64) if args.quick else (30_000, 384)
        title = f"Exact graph of {count:,} rows, width {width}, k = {K}"
        report.table("narrow", title, _items(count, width, args.rounds, limits["gemm_gflops"]))
    if "users" in args.rows:
        for name in ["Baby"] if args.quick else args.user_graphs:
            title = f"Exact graph of users at the size of {name}, item features 4,096 wide, k = {K}"
            report.table(f"users {name}", title, _users(name, args))
    if "points" in args.rows:
        count = 2_000 if args.quick else 100_000
        title = f"Exact graph of {count:,} points in space, Euclidean distance, k = {K}"
        report.table("points", title, _points(count, args.rounds))
        graphs = 20 if args.quick else 600
        title = f"Exact graphs of {graphs:,} clouds of 64 points in space in one call, Euclidean distance, k = {K}"
        report.table("clouds", title, _clouds(graphs, args.rounds))
    if "growth" in args.rows:
        rows, exponents = _growth(args)
        note = "Recall over 1,000 rows against exact neighbours. Rows: 384 numbers around one of N / 100 centres."
        report.table("growth", "Graphs of 384-wide rows, k = 10", rows, note=note, exponents=exponents)


def _parse() -> argparse.Namespace:
    options = parser(__doc__, case=True)
    parts = ["items", "narrow", "users", "points", "growth"]
    options.add_argument("--rows", nargs="+", choices=parts, default=parts)
    options.add_argument("--user-graphs", nargs="+", choices=list(USER_GRAPHS), default=list(USER_GRAPHS))
    options.add_argument("--sizes", nargs="+", type=int, default=[10**4, 10**5, 10**6])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--timeout", type=float, default=3600, help="seconds that one row of users or growth may take")
    args = options.parse_args()
    if args.quick:
        args.rounds, args.sizes = 1, [300]  # a process for every row: imports are what takes time
    return args


def _items(count: int, width: int, rounds: int, peak: float) -> list[dict[str, object]]:
    x = torch.randn(count, width, generator=torch.Generator().manual_seed(0)).relu()  # as a CNN's features
    calls: dict[str, Callable[[], object]] = {
        "knn_graph": lambda: knn_graph(x, K),
        "knn_graph, index='flat'": lambda: knn_graph(x, K, index="flat"),
        "FAISS IndexFlatIP, used plainly": lambda: _faiss(x, "Flat"),
        "PyG MIPSKNNIndex": lambda: _pyg_index(x),
        "torch: blocks of products, topk": lambda: _blocks(x),
    }
    if importlib.util.find_spec("sklearn"):
        calls["scikit-learn NearestNeighbors"] = lambda: _sklearn(x)
    times = compare(calls, rounds=rounds, patience=120)
    base, flop = times["knn_graph"].median, 2e-9 * count**2 * width
    return [
        {
            "builder": name,
            "seconds": timing.median,
            "ratio to ours": timing.median / base,
            "share of GEMM peak %": 100 * flop / timing.median / peak,
        }
        for name, timing in times.items()
    ]


def _faiss(x: Tensor, factory: str, **search: int) -> np.ndarray:
    """One more neighbour than asked for, as each row finds itself."""
    import faiss

    rows = F.normalize(x).numpy()
    index = faiss.index_factory(x.size(1), factory, faiss.METRIC_INNER_PRODUCT)
    index.train(rows)
    index.add(rows)
    for name, value in search.items():
        faiss.ParameterSpace().set_index_parameter(index, name, value)
    found: np.ndarray = index.search(rows, K + 1)[1]
    return found


def _pyg_index(x: Tensor) -> Tensor:
    from torch_geometric.nn.pool import MIPSKNNIndex

    rows = F.normalize(x)
    return MIPSKNNIndex(rows).search(rows, K + 1).index


def _sklearn(x: Tensor, metric: str = "cosine") -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    found: np.ndarray = NearestNeighbors(n_neighbors=K, metric=metric).fit(x.numpy()).kneighbors()[1]
    return found


def _blocks(x: Tensor, rows: Tensor | None = None) -> Tensor:
    """The best K + 1 of every row, or of some."""
    normal = F.normalize(x)
    asked = normal if rows is None else normal[rows]
    return torch.cat([(block @ normal.T).topk(K + 1, dim=1).indices for block in asked.split(BLOCK)])


def _points(count: int, rounds: int) -> list[dict[str, object]]:
    x = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    calls: dict[str, Callable[[], object]] = {
        "knn_graph": lambda: knn_graph(x, K, metric="l2"),
        "knn_graph, index='blocks'": lambda: knn_graph(x, K, metric="l2", index="blocks"),
        "SciPy cKDTree, used plainly": lambda: _tree(x),
        "FAISS IndexFlatL2": lambda: _flat_l2(x),
    }
    if importlib.util.find_spec("sklearn"):
        calls["scikit-learn NearestNeighbors"] = lambda: _sklearn(x, "euclidean")
    return _beside_ours(compare(calls, rounds=rounds, patience=60))


def _clouds(graphs: int, rounds: int) -> list[dict[str, object]]:
    x = torch.randn(graphs * 64, 3, generator=torch.Generator().manual_seed(0))
    batch = torch.arange(graphs).repeat_interleave(64)
    calls: dict[str, Callable[[], object]] = {
        "knn_graph(batch=)": lambda: knn_graph(x, K, metric="l2", batch=batch),
        "torch: cdist, topk of all at once": lambda: torch.cdist(*[x.view(graphs, 64, 3)] * 2).topk(
            K + 1, largest=False
        ),
        "SciPy cKDTree, graph by graph": lambda: [_tree(part) for part in x.split(64)],
    }
    return _beside_ours(compare(calls, rounds=rounds, patience=60))


def _beside_ours(times: dict[str, Timing]) -> list[dict[str, object]]:
    """Rows of a table; ours is the first."""
    ours = next(iter(times.values())).median
    return [
        {"builder": name, "seconds": timing.median, "ratio to ours": timing.median / ours}
        for name, timing in times.items()
    ]


def _tree(x: Tensor) -> np.ndarray:
    """One more neighbour than asked for, as each point finds itself."""
    from scipy.spatial import cKDTree

    found: np.ndarray = cKDTree(x.numpy()).query(x.numpy(), K + 1, workers=torch.get_num_threads())[1]
    return found


def _flat_l2(x: Tensor) -> np.ndarray:
    import faiss

    index = faiss.IndexFlatL2(x.size(1))
    index.add(x.numpy())
    found: np.ndarray = index.search(x.numpy(), K + 1)[1]
    return found


def _users(name: str, args: argparse.Namespace) -> list[dict[str, object]]:
    builders = ["user_knn_graph", *BESIDE, DIRECT, "[U, F] matrix, FAISS IndexFlatIP"]
    found = {}
    for builder in builders:
        case = {"part": "users", "data": name, "builder": builder, "quick": args.quick}
        found[builder] = in_child(__file__, case, timeout=args.timeout)
    ours = found["user_knn_graph"]
    return [
        {
            "builder": builder,
            "seconds": result.get("seconds"),
            "ratio to ours": ratio(result.get("seconds"), ours.get("seconds")),
            "peak MB": result.get("megabytes"),
            "mean similarity of the edges": result.get("similarity"),
            "note": result.get("error", ""),
        }
        for builder, result in found.items()
    ]


def _measure_users(case: dict[str, object]) -> dict[str, object]:
    users, items, pairs = (count // 40 if case["quick"] else count for count in USER_GRAPHS[str(case["data"])])
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(items, 64 if case["quick"] else 4096, generator=generator).relu()
    user = torch.cat([torch.arange(users), torch.randint(users, (pairs - users,), generator=generator)])
    edge_index = torch.stack([user, torch.randint(items, (pairs,), generator=generator)])
    bought = torch.sparse_coo_tensor(edge_index, torch.ones(pairs), (users, items)).coalesce()
    counts = torch.bincount(user, minlength=users).unsqueeze(1)

    def plain() -> Tensor:
        found = torch.from_numpy(_faiss(bought @ x / counts, "Flat"))
        centre = torch.arange(users).unsqueeze(1)
        others = found[found != centre].view(users, -1)[:, :K] if (found == centre).sum() == users else found[:, 1:]
        return torch.stack([others.flatten(), centre.expand(-1, K).flatten()])

    index = BESIDE.get(str(case["builder"]))

    def beside(nodes: list[str]) -> Tensor:
        data = HeteroData({"item": {"image": x}, "user": {"num_nodes": users}, USER_ITEM: {"edge_index": edge_index}})
        graphs = AddSimilarityGraphs(K, nodes=nodes, index=index)(data)
        edges: Tensor = graphs[nodes[-1], "similar_image", nodes[-1]].edge_index
        return edges

    importlib.import_module("faiss")  # no part of the time
    _ = torch.ones(8, 8) @ torch.ones(8, 8)  # threads and their memory are there before
    before = 0.0
    if index:
        for _ in range(2):  # the second time counts: a first call touches memory that the next one uses again
            started = time.perf_counter()
            beside(["item"])
            before = time.perf_counter() - started
    calls = {
        "user_knn_graph": lambda: user_knn_graph(x, edge_index, users, K),
        **dict.fromkeys(BESIDE, lambda: beside(["item", "user"])),
        DIRECT: lambda: user_knn_graph(x, edge_index, users, K, index="blocks"),
    }
    started = time.perf_counter()
    graph, grown = peak_of(calls.get(str(case["builder"]), plain))
    seconds = time.perf_counter() - started - before
    mean = F.normalize(bought @ x / counts)
    products = [(mean[source] * mean[target]).sum(dim=1).sum() for source, target in graph.split(2**14, dim=1)]
    similarity = float(sum(products)) / graph.size(1)
    # What the item graph left behind is no growth, so that there is none to tell beside it.
    megabytes = None if index else grown / 2**20
    return {"seconds": seconds, "megabytes": megabytes, "similarity": similarity}


def _growth(args: argparse.Namespace) -> tuple[list[dict[str, object]], dict[str, float | None]]:
    rows: list[dict[str, object]] = []
    exponents: dict[str, float | None] = {}
    for builder, package in GROWTH.items():
        results = []
        for size in args.sizes:
            if package and importlib.util.find_spec(package) is None:
                result: dict[str, object] = {"error": f"{package} is not installed"}
            elif builder == "FAISS flat" and size > 200_000:
                result = {"error": "left out: exact, hours"}
            else:
                case = {"part": "growth", "builder": builder, "size": size}
                result = in_child(__file__, case, timeout=args.timeout)
            results.append(result)
            cells = {name: result.get(name) for name in ("seconds", "recall", "peak MB", "how")}
            rows.append({"builder": builder, "rows": size, **cells, "note": result.get("error", "")})
        done = {
            size: result["seconds"] for size, result in zip(args.sizes, results, strict=True) if "seconds" in result
        }
        exponents[builder] = exponent(list(done), list(done.values()))
        rows.append({"builder": builder, "rows": "exponent", "seconds": exponents[builder]})
    return rows, exponents


def _measure_growth(case: dict[str, object]) -> dict[str, object]:
    size, builder = int(str(case["size"])), str(case["builder"])
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(max(1, size // 100), 384, generator=generator)
    nearest = torch.randint(len(centres), (size,), generator=generator)
    x = torch.randn(size, 384, generator=generator).add_(centres[nearest])
    cells = round(4 * size**0.5)  # FAISS' guideline: 4 to 16 times the root
    calls: dict[str, Callable[[], tuple[np.ndarray, str]]] = {
        "ours, index='auto'": lambda: _ours(x),
        "FAISS flat": lambda: (_faiss(x, "Flat"), "exact"),
        "FAISS IVF": lambda: (_faiss(x, f"IVF{cells},Flat", nprobe=16), f"IVF{cells}, nprobe 16"),
        "FAISS HNSW": lambda: (_faiss(x, "HNSW32", efSearch=64), "M 32, efSearch 64"),
        "hnswlib": lambda: (_hnswlib(x), "M 16, ef_construction 200, ef 64"),
        "pynndescent": lambda: (_pynndescent(x), "defaults"),
    }
    if GROWTH[builder]:
        importlib.import_module(GROWTH[builder])  # no part of the time
    if builder == "pynndescent":
        _pynndescent(x[:1000])  # compiled on first use
    started = time.perf_counter()
    (found, how), grown = peak_of(calls[builder])
    seconds = time.perf_counter() - started
    sample = torch.randperm(size, generator=generator)[:1000]
    exact = _blocks(x, sample).numpy()
    hits = [
        len(set(found[i].tolist()) & (set(row.tolist()) - {i})) for i, row in zip(sample.tolist(), exact, strict=True)
    ]
    return {"seconds": seconds, "recall": sum(hits) / K / len(hits), "peak MB": grown / 2**20, "how": how}


def _ours(x: Tensor) -> tuple[np.ndarray, str]:
    edge_index, info = knn_graph(x, K, return_info=True)
    return edge_index[0].view(-1, K).numpy(), info.index


def _hnswlib(x: Tensor) -> np.ndarray:
    import hnswlib

    index = hnswlib.Index(space="cosine", dim=x.size(1))
    index.init_index(max_elements=len(x), ef_construction=200, M=16)
    index.add_items(x.numpy(), num_threads=torch.get_num_threads())
    index.set_ef(64)
    found: np.ndarray = index.knn_query(x.numpy(), k=K + 1, num_threads=torch.get_num_threads())[0]
    return found


def _pynndescent(x: Tensor) -> np.ndarray:
    import pynndescent

    found: np.ndarray = pynndescent.NNDescent(x.numpy(), n_neighbors=K + 1, metric="cosine").neighbor_graph[0]
    return found


if __name__ == "__main__":
    main()
