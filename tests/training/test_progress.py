"""The progress of a run where stderr is no terminal: a line per epoch, of what the files of the run say, too."""

import math
import re
from pathlib import Path

import pytest

from drepm_pyg.models import BPR
from drepm_pyg.training import fit, read_metrics
from tests import toy


def test_every_epoch_is_told_with_its_loss_its_validation_and_the_best_so_far(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = toy.toy_data()
    options = {"max_epochs": 6, "batch_size": 16, "lr": 0.02, "ks": (5,), "monitor": "val/recall@5", "patience": 9}
    result = fit(BPR.from_data(data), data, root=tmp_path, validate_every=2, **options)
    captured = capsys.readouterr()
    assert "epoch" not in captured.out
    told = [line for line in captured.err.splitlines() if line.startswith("epoch ")]
    best, waited = -math.inf, 0
    for line, row in zip(told, read_metrics(result.path / "metrics.csv"), strict=True):
        losses = {name.removeprefix("train/"): float(row[name]) for name in row if name.startswith("train/")}
        parts = "  ".join(f"{name} {value:.4f}" for name, value in losses.items() if name != "seconds")
        value = float(row["val/recall@5"] or -math.inf)
        seen = f"  val/recall@5 {value:.4f} " if row["val/recall@5"] else "  "
        # Patience counts epochs, those without a validation, too, from the first validation on.
        best, waited = (value, 0) if value > best else (best, waited + (best > -math.inf))
        expected = f"epoch {row['epoch']}  {parts}"
        if best > -math.inf:  # before the first validation there is no best
            expected += f"{seen}(best {best:.4f}, {waited}/9)"
        assert line.startswith(expected)
        assert re.fullmatch(r"  \d+\.\d s", line.removeprefix(expected))
    assert "best" not in told[0]
    assert "best" in told[1]
