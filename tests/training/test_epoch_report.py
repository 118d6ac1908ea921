"""The numbers of every epoch, for a function that may end the run."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from drepm_pyg.models import LightGCN
from drepm_pyg.training import EpochReport, FitResult, read_metrics
from tests import toy


class EnoughSeen(Exception):
    pass


Train = Callable[..., FitResult]


@pytest.fixture
def train(train: Train) -> Train:
    """Five epochs of LightGCN, reported: ``train("run", EpochReport(print))``."""

    def run(name: str, *callbacks: EpochReport, resume: bool = False) -> FitResult:
        torch.manual_seed(0)
        data = toy.toy_data()
        model = LightGCN.from_data(data, embedding_dim=8)
        return train(model, data, max_epochs=5, name=name, resume=resume, trainer={"callbacks": list(callbacks)})

    return run


def test_every_row_is_reported_when_it_is_on_disk(train: Train, tmp_path: Path) -> None:
    seen: list[tuple[dict[str, float], int]] = []
    metrics = tmp_path / "run" / "metrics.csv"
    train("run", EpochReport(lambda row: seen.append((dict(row), len(read_metrics(metrics))))))
    assert [written for _, written in seen] == [1, 2, 3, 4, 5]
    rows = [{name: float(value) for name, value in row.items()} for row in read_metrics(metrics)]
    assert [row for row, _ in seen] == rows


def test_a_run_that_the_function_ends_goes_on_bit_equal(train: Train, tmp_path: Path) -> None:
    def stop(row: Mapping[str, float]) -> None:
        if row["epoch"] == 2:
            raise EnoughSeen

    with pytest.raises(EnoughSeen):
        train("cut", EpochReport(stop))
    assert len(read_metrics(tmp_path / "cut" / "metrics.csv")) == 3
    assert not (tmp_path / "cut" / "result.json").exists()
    whole, resumed = train("whole"), train("cut", resume=True)
    assert whole.metrics == resumed.metrics
    assert all(torch.equal(p, q) for p, q in zip(whole.model.parameters(), resumed.model.parameters(), strict=True))
