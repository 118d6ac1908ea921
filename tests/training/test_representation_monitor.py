"""The lines of a model apart, epoch by epoch."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from drepm_pyg.evaluation import evaluate
from drepm_pyg.models import DRepMRec, Representations
from drepm_pyg.training import RepresentationMonitor, fit, read_metrics
from drepm_pyg.training.representation_monitor import cosine_distances
from tests import toy


def test_the_last_row_is_what_the_trained_tables_give(tmp_path: Path) -> None:
    data = toy.toy_data()
    torch.manual_seed(0)
    model = DRepMRec.from_data(data, embedding_dim=4)
    options = {"trainer": {"callbacks": [RepresentationMonitor()]}, "ks": (5,), "monitor": "val/recall@5"}
    path = fit(model, data, root=tmp_path, max_epochs=1, progress=False, **options).path
    (row,) = read_metrics(path / "metrics.csv")
    with torch.no_grad():
        tables = model.eval()(data)
    for name, line in (("behavior", tables.behavior), ("modal", tables.modal)):
        expected = evaluate(line, data, split="val", ks=(5,))
        assert float(row[f"val/{name}/recall@5"]) == pytest.approx(expected["recall@5"])
    distance = 1 - F.cosine_similarity(tables.behavior_user, tables.modal_user).mean()
    assert float(row["val/cosine_distance_user"]) == pytest.approx(distance.item(), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_node_without_a_modal_representation_has_the_cosine_zero(dtype: torch.dtype) -> None:
    line = torch.tensor([[3.0, 4.0], [1.0, 0.0]], dtype=dtype)
    absent = torch.tensor([[6.0, 8.0], [0.0, 0.0]], dtype=dtype)
    distances = cosine_distances(Representations(line, line, line, line, absent, line))
    assert distances == pytest.approx({"val/cosine_distance_user": 0.5, "val/cosine_distance_item": 0.0}, abs=1e-6)
