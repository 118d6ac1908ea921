"""VBPR against a dense reference written from Eq. 4 and 9."""

import numpy as np
import torch

from drepm_pyg.models import VBPR
from tests import toy


def build(**kwargs: object) -> tuple[VBPR, torch.Tensor]:
    torch.manual_seed(0)
    data = toy.toy_data(masked=True)
    model = VBPR.from_data(data, embedding_dim=4, **kwargs)
    stacked = [(data["item"][m] * data["item"][f"{m}_mask"].unsqueeze(1)).numpy() for m in model.in_channels]
    return model, torch.from_numpy(np.concatenate(stacked, axis=1))


def test_scores_match_the_equation() -> None:
    model, raw = build()
    weight, bias = (p.detach().double().numpy() for p in model.projection.linear.parameters())
    table_u, table_i = (t.weight.detach().double().numpy() for t in (model.user_embedding, model.item_embedding))
    visual = raw.double().numpy() @ weight.T + bias
    expected = [[u[:4] @ i + u[4:] @ v for i, v in zip(table_i, visual, strict=True)] for u in table_u]
    scores = model.score(toy.toy_data(masked=True), torch.arange(toy.USERS))
    np.testing.assert_allclose(scores.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_lines_are_the_two_halves_and_their_scores_add_up() -> None:
    model, _ = build()
    tables = model(toy.toy_data(masked=True))
    whole = tables.user @ tables.item.T
    halves = [half.user @ half.item.T for half in (tables.behavior, tables.modal) if half is not None]
    assert len(halves) == 2
    torch.testing.assert_close(halves[0] + halves[1], whole)


def test_penalty_runs_over_the_concatenated_rows() -> None:
    model, _ = build(reg=0.5, l2_form="norm")
    data = toy.toy_data(masked=True)
    batch, tables = toy.toy_batch(data), model(data)
    rows = [r.detach().double().numpy() for r in batch.rows(tables.user, tables.item)]
    expected = 0.5 * sum(np.sqrt((r**2).sum()) for r in rows) / len(batch)
    np.testing.assert_allclose(model.loss(data, batch).parts["reg"].item(), expected, rtol=1e-5)
