"""The numbers of every epoch, for a function that may end the run."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.models import LightGCN
from drepm_pyg.training import EpochReport, FitResult, fit, read_metrics
from tests import toy


class EnoughSeen(Exception):
    pass


def train(data: HeteroData, root: Path, name: str, *callbacks: EpochReport, resume: bool = False) -> FitResult:
    torch.manual_seed(0)
    options = {"max_epochs": 5, "batch_size": 16, "ks": (5,), "monitor": "val/recall@5", "progress": False}
    model = LightGCN.from_data(data, embedding_dim=8)
    return fit(model, data, root=root, name=name, resume=resume, trainer={"callbacks": list(callbacks)}, **options)


def test_every_row_is_reported_when_it_is_on_disk(tmp_path: Path) -> None:
    seen: list[tuple[dict[str, float], int]] = []
    metrics = tmp_path / "run" / "metrics.csv"
    train(
        toy.toy_data(), tmp_path, "run", EpochReport(lambda row: seen.append((dict(row), len(read_metrics(metrics)))))
    )
    assert [written for _, written in seen] == [1, 2, 3, 4, 5]
    rows = [{name: float(value) for name, value in row.items()} for row in read_metrics(metrics)]
    assert [row for row, _ in seen] == rows


def test_a_run_that_the_function_ends_goes_on_bit_equal(tmp_path: Path) -> None:
    data = toy.toy_data()

    def stop(row: Mapping[str, float]) -> None:
        if row["epoch"] == 2:
            raise EnoughSeen

    with pytest.raises(EnoughSeen):
        train(data, tmp_path, "cut", EpochReport(stop))
    assert len(read_metrics(tmp_path / "cut" / "metrics.csv")) == 3
    assert not (tmp_path / "cut" / "result.json").exists()
    whole, resumed = train(data, tmp_path, "whole"), train(data, tmp_path, "cut", resume=True)
    assert whole.metrics == resumed.metrics
    assert all(torch.equal(p, q) for p, q in zip(whole.model.parameters(), resumed.model.parameters(), strict=True))
