"""One run as data: the model, the data, the graphs and the settings of training."""

import copy
import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_choice, check_seed
from drepm_pyg.data import modalities as modalities_of
from drepm_pyg.data import similar
from drepm_pyg.experiments.bma_options import BMAOptions
from drepm_pyg.experiments.sources import load_data
from drepm_pyg.graph import AddSimilarityGraphs, read_graph
from drepm_pyg.graph.formats import is_graph_file
from drepm_pyg.models import RecommenderModel, get_model

if TYPE_CHECKING:
    from drepm_pyg.training import FitResult

__all__ = ["DERIVED", "Experiment", "GraphOptions", "model_class"]

#: Arguments of the models that ``from_data`` reads off the data.
DERIVED = ("num_users", "num_items", "in_channels", "modalities")

_WATCHING = ("progress", "resume", "trainer")  # how somebody looks on at a run, which may be by callbacks
_MISSING = {  # where fit, in Python, was not told what a file needs
    "model": "fit keeps how its model is built where it is given 'init_args'.",
    "data": "Name or path of a data set, on the command line as '--data'.",
}
_OWN_OPTIONS = ("model", "data", "init_args", "config")  # arguments of fit that a run fills in by itself


@dataclass(frozen=True)
class GraphOptions:
    """The similarity graphs of a run; they are built for those nodes whose graphs the model reads.

    Attributes:
        k: neighbours per node.
        loop: whether a node is one of its own neighbours; the recipes of DRepMRec, FREEDOM and MGCN say so.
        metric: 'cosine', 'ip' or 'l2'.
        return_weight: keep the similarities as edge weights instead of 1 (MGCN).
        files: ready-made item graphs by modality, as :func:`~drepm_pyg.graph.read_graph` reads them. The modality needs
            features only for the users' graph then.
        weight: the array of the files that holds edge weights; None: 1 for every edge.
    """

    k: int = 10
    loop: bool = True
    metric: str = "cosine"
    return_weight: bool = False
    files: dict[str, str] = field(default_factory=dict)
    weight: str | None = None

    def check(self, data: HeteroData) -> None:
        """A ready-made graph must be of a modality of the data, where these have features; else it may have any name.

        Raises:
            ValueError: where it is of none.
        """
        known = modalities_of(data)
        for name in self.files if known else ():
            check_choice(known, **{"a modality in graphs": name})

    def add(self, data: HeteroData, nodes: tuple[str, ...], cache: str | Path | None = None) -> HeteroData:
        """Read the ready-made graphs, build the others; ``cache`` keeps what is built."""
        self.check(data)
        for name, path in self.files.items():
            store = data[similar("item", name)]
            graph = read_graph(path, num_nodes=data["item"].num_nodes, weight=self.weight)
            store.edge_index, store.edge_weight = (
                graph if isinstance(graph, tuple) else (graph, torch.ones(len(graph[0])))
            )
        for node in nodes:
            names = [name for name in modalities_of(data) if node == "user" or name not in self.files]
            if not names:
                continue  # a model that misses a graph names it
            build = AddSimilarityGraphs(
                self.k,
                modalities=names,
                nodes=(node,),
                metric=self.metric,
                loop=self.loop,
                return_weight=self.return_weight,
                cache_dir=cache,
            )
            data = build(data)
        return data


@dataclass(frozen=True)
class Experiment:
    """A run: what ``drepm fit --config`` reads and ``runs/<name>/config.yaml`` keeps.

    Attributes:
        model: ``{"class_path": ..., "init_args": {...}}``; the class by its name or its path.
        data: see :func:`~drepm_pyg.experiments.load_data`.
        modalities: which modalities of the data to take; None: all of them.
        graphs: how the similarity graphs are made.
        options: arguments of :func:`drepm_pyg.training.fit`.
        bma: behaviour-modal alignment that is added to the model's loss.

    Example:
        >>> experiment = Experiment.from_config({"model": {"class_path": "BPR"}, "data": "synthetic", "max_epochs": 1})
        >>> experiment.options
        {'max_epochs': 1}
    """

    model: dict[str, Any]
    data: str
    modalities: list[str] | None = None
    graphs: GraphOptions = field(default_factory=GraphOptions)
    options: dict[str, Any] = field(default_factory=dict)
    bma: BMAOptions = field(default_factory=BMAOptions)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Experiment":
        """Read the flat form of a YAML file; a name that nothing reads is an error.

        Raises:
            ValueError: where a key is missing or unknown.
        """
        from drepm_pyg.training import fit

        rest = dict(config)
        for name in ("model", "data"):
            if name not in rest:
                raise ValueError(f"A run must say its '{name}' (got {sorted(config)}). {_MISSING[name]}")
        model = _mapping("model", rest.pop("model"))
        _check_keys("model", model, {"class_path", "init_args"})
        model = {"class_path": model["class_path"], "init_args": dict(model.get("init_args") or {})}
        graphs = _mapping("graphs", rest.pop("graphs", None) or {})
        known = set(inspect.signature(GraphOptions).parameters)
        # In the flat form a ready-made graph stands beside the options, under its modality.
        files = {name: str(path) for name, path in graphs.items() if name not in known and is_graph_file(path)}
        graphs = {name: value for name, value in graphs.items() if name not in files}
        _check_keys("graphs", graphs, known)
        bma = _mapping("bma", rest.pop("bma", None) or {})
        _check_keys("bma", bma, set(inspect.signature(BMAOptions).parameters))
        run = cls(
            model=model,
            data=str(rest.pop("data")),
            modalities=rest.pop("modalities", None),
            graphs=GraphOptions(**{**graphs, "files": {**graphs.get("files", {}), **files}}),
            options=rest,
            bma=BMAOptions(**bma),
        )
        _check_keys("a run", rest, set(inspect.signature(fit).parameters) - set(_OWN_OPTIONS))
        return run

    def to_config(self) -> dict[str, Any]:
        """The flat form that :meth:`from_config` reads."""
        found = self.model_class
        path = self.model["class_path"] if "." in self.model["class_path"] else f"drepm_pyg.models.{found.__name__}"
        graphs = {name: value for name, value in asdict(self.graphs).items() if value is not None}
        graphs |= graphs.pop("files")
        return {
            "model": {"class_path": path, "init_args": self.model["init_args"]},
            "data": self.data,
            **({} if self.modalities is None else {"modalities": list(self.modalities)}),
            **({"graphs": graphs} if found.graph_nodes else {}),
            **({"bma": self.bma.to_config()} if self.bma.used else {}),
            **self.options,
        }

    @property
    def model_class(self) -> type[RecommenderModel]:
        """The class that ``class_path`` names."""
        return model_class(self.model["class_path"])

    @property
    def cache(self) -> Path:
        """Where downloads and graphs are kept: beside the runs."""
        return Path(self.options.get("root", "runs")) / ".cache"

    def read(self) -> HeteroData:
        """The data without similarity graphs."""
        return load_data(self.data, modalities=self.modalities, cache=self.cache)

    def load(self, data: HeteroData | None = None) -> HeteroData:
        """The data with the graphs that the model reads.

        Args:
            data: the data set where it is in memory already; it is not changed.
        """
        return self.with_graphs(self.read() if data is None else data, self.cache)

    def with_graphs(self, data: HeteroData, cache: Path) -> HeteroData:
        """A copy of ``data`` with the graphs that the model reads.

        Args:
            data: the data set; it is not changed.
            cache: where downloads and graphs are kept.
        """
        return self.graphs.add(copy.copy(data), self.model_class.graph_nodes, cache / "graphs")

    def build(self, data: HeteroData) -> RecommenderModel:
        """The model with the weights that the seed gives."""
        torch.manual_seed(self.options.get("seed", 0))
        return self.create(data)

    def create(self, data: HeteroData) -> RecommenderModel:
        """The model with weights from wherever torch's generator stands."""
        return self.bma.wrap(self.model_class.from_data(data, **self.model["init_args"]))

    def run(self, data: HeteroData | None = None, **options: Any) -> "FitResult":
        """Train; ``options`` replace those of the experiment, in what the run's ``config.yaml`` says, too.

        Args:
            data: what :meth:`load` gave; None: load it.
            options: arguments of :func:`drepm_pyg.training.fit`; ``progress``, ``resume`` and ``trainer`` are for this
                call alone.
        """
        from drepm_pyg.training import fit
        from drepm_pyg.training.trainer_options import check_trainer

        given = {**self.options, **options}
        # As fit does, but before the data are read and the weights are drawn.
        check_trainer(given.get("trainer"))
        check_seed(seed=given.get("seed", 0))
        kept = {name: value for name, value in options.items() if name not in _WATCHING}
        asked = replace(self, options={**self.options, **kept})
        data = asked.load() if data is None else data
        return fit(
            asked.build(data),
            data,
            init_args=self.bma.init_args(self.model),
            config={name: value for name, value in asked.to_config().items() if name != "resume"},
            **given,
        )


def model_class(class_path: str) -> type[RecommenderModel]:
    """A model by its name, or by the path of a class that someone else wrote.

    Raises:
        ValueError: where there is no such model.
    """
    module, _, name = class_path.rpartition(".")
    if not module or module.startswith("drepm_pyg."):
        return get_model(name)
    found: Any = getattr(import_module(module), name, None)
    if not (isinstance(found, type) and issubclass(found, RecommenderModel)):
        raise ValueError(f"'class_path' must name a subclass of RecommenderModel (got '{class_path}').")
    return found


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str) and name == "model":
        return {"class_path": value}
    if not isinstance(value, Mapping):
        raise ValueError(f"'{name}' must be a mapping (got {value!r}).")
    return dict(value)


def _check_keys(where: str, given: Mapping[str, Any], known: set[str]) -> None:
    for key in given:
        check_choice(sorted(known), **{f"a key of {where}": key})
