"""The parts that models share: BPR with L2 on a batch, and the alignment of two lines."""

import numpy as np
import torch

from drepm_pyg.models import BehaviorModalAlignment, DRepMRec, PairwiseObjective, Representations, Triples, WithBMA
from drepm_pyg.nn import functional
from drepm_pyg.nn.losses import BMALoss
from tests import toy

TABLES = Representations(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
BATCH = Triples(torch.tensor([0]), torch.tensor([0]), torch.tensor([1]))


def test_objective_by_hand() -> None:
    """Scores 1 and 2; squared norms 5, 1, 1."""
    parts = PairwiseObjective(0.5, l2_form="half_squared")(TABLES, BATCH, regularized=TABLES)
    np.testing.assert_allclose(parts["bpr"].item(), np.log(1 + np.e), rtol=1e-6)
    np.testing.assert_allclose(parts["reg"].item(), 0.5 * (5 + 1 + 1) / 2, rtol=1e-6)
    parts = PairwiseObjective(0.5, l2_form="norm")(TABLES, BATCH, regularized=TABLES)
    np.testing.assert_allclose(parts["reg"].item(), 0.5 * (5**0.5 + 1 + 1), rtol=1e-6)


def test_a_weight_of_zero_computes_no_penalty() -> None:
    broken = Representations(TABLES.user * torch.nan, TABLES.item)
    assert PairwiseObjective(0.0, l2_form="norm")(TABLES, BATCH, regularized=broken)["reg"] == 0


def test_alignment_is_what_the_plug_in_adds() -> None:
    torch.manual_seed(0)
    data = toy.toy_data()
    model, batch, bma = DRepMRec.from_data(data, embedding_dim=4), toy.toy_batch(data), BMALoss(0.2, 0.3, 0.4)
    direct = BehaviorModalAlignment(bma)(model(data), data, batch)
    added = WithBMA(model, bma).loss(data, batch).parts
    assert {f"bma_{name}": part.item() for name, part in direct.items()} == {
        name: part.item() for name, part in added.items() if name.startswith("bma_")
    }


def test_intra_alignment_is_info_nce_in_both_lines(generator: torch.Generator) -> None:
    bu, bi, mu, mi = torch.randn(4, 5, 3, generator=generator)
    both = functional.intra_alignment(behavior_user=bu, behavior_item=bi, modal_user=mu, modal_item=mi)
    torch.testing.assert_close(both, functional.info_nce(bu, bi) + functional.info_nce(mu, mi))
