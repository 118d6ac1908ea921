"""What a sweep is asked for: the same for every process that takes part in it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least, check_choice, check_seed
from drepm_pyg.experiments.experiment import Experiment, GraphOptions
from drepm_pyg.experiments.search.space import SearchSpace
from drepm_pyg.experiments.sources import load_data

__all__ = ["SAMPLERS", "SweepPlan"]

#: How the next point is chosen: a tree of Parzen estimators on the finished trials, at random, or a shuffled grid.
SAMPLERS = ("tpe", "random", "grid")


@dataclass(frozen=True)
class SweepPlan:
    """The data, the spaces by the models' names, and how their points are chosen and tried; plain data throughout.

    Attributes:
        data: see :func:`~drepm_pyg.experiments.load_data`.
        modalities: which modalities of the data to take; None: all of them.
        graphs: how the similarity graphs are made where a space does not say.
        options: arguments of :func:`drepm_pyg.training.fit` that all runs share.
        spaces: the search space of every model.
        trials: how many points of each space are tried.
        sampler: one of :data:`SAMPLERS`.
        prune_after: epochs before which no trial is pruned; None: none is pruned at all.
        seed: of the points, and of every run.
        root: where the study, the runs and the tables stand.
        cache: where downloads and graphs are kept.
    """

    data: str
    modalities: list[str] | None
    graphs: GraphOptions
    options: dict[str, Any]
    spaces: dict[str, SearchSpace]
    trials: int
    sampler: str
    prune_after: int | None
    seed: int
    root: Path
    cache: Path

    def __post_init__(self) -> None:
        check_at_least(1, trials=self.trials)
        check_choice(SAMPLERS, sampler=self.sampler)
        check_seed(seed=self.seed)
        if self.prune_after is not None:
            check_at_least(0, prune_after=self.prune_after)
        for name, space in self.spaces.items():
            if self.sampler == "grid":
                space.grid("")  # refuses bounds
            if space.size is not None and space.size < self.trials:
                raise ValueError(
                    f"'trials' must be at most the number of points in the search space of '{name}', as every model "
                    f"gets the same number (got {self.trials} for {space.size}). Lower 'trials', or widen the space."
                )

    @property
    def monitor(self) -> str:
        """The validation metric that decides."""
        return str(self.options["monitor"])

    def read_data(self) -> HeteroData:
        """The data without similarity graphs."""
        return load_data(self.data, modalities=self.modalities, cache=self.cache)

    def experiment(self, name: str, settings: Mapping[str, Any]) -> Experiment:
        """The run that tries ``settings``, a point of the space of the model ``name``."""
        rest = dict(settings)
        return Experiment.from_config(
            {
                "model": {"class_path": self.spaces[name].class_path, "init_args": rest.pop("init_args", {})},
                "data": self.data,
                "modalities": self.modalities,
                "graphs": {**asdict(self.graphs), **rest.pop("graphs", {})},
                **self.options,
                "seed": self.seed,
                **rest,
            }
        )

    def definition(self, name: str, fingerprint: str) -> dict[str, Any]:
        """What must not change while a study goes on; ``trials`` may, as a longer search begins with a shorter one."""
        definition = {
            "data": self.data,
            "fingerprint": fingerprint,
            "modalities": self.modalities,
            **{f"graphs.{key}": value for key, value in asdict(self.graphs).items()},
            **self.options,
            "sampler": self.sampler,
            "prune_after": self.prune_after,
            "seed": self.seed,
            **self.spaces[name].describe(),
        }
        plain: dict[str, Any] = json.loads(json.dumps(definition))  # as it comes back from the study
        return plain
