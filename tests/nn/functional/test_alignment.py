"""The alignments, per row, before a loss reduces them (Eq. 10-11)."""

import pytest
import torch

from drepm_pyg.nn.functional import info_nce, inter_alignment, intra_alignment
from tests.random_tensors import draw


def test_intra_alignment_sums_both_lines_by_pair() -> None:
    bu, bi, mu, mi = (draw(5, 3, seed=seed) for seed in range(4))
    mask = draw(5, 5, seed=9) > 1
    lines = {"behavior_user": bu, "behavior_item": bi, "modal_user": mu, "modal_item": mi}
    expected = info_nce(bu, bi, temperature=0.5, mask=mask) + info_nce(mu, mi, temperature=0.5, mask=mask)
    torch.testing.assert_close(intra_alignment(**lines, temperature=0.5, mask=mask), expected)


def test_inter_alignment_compares_the_lines_of_users_and_items_apart() -> None:
    bu, mu, bi, mi = draw(5, 3), draw(5, 3, seed=1), draw(4, 3, seed=2), draw(4, 3, seed=3)
    user, item = inter_alignment(behavior_user=bu, modal_user=mu, behavior_item=bi, modal_item=mi, normalize=False)
    torch.testing.assert_close(user, info_nce(bu, mu, normalize=False))
    torch.testing.assert_close(item, info_nce(bi, mi, normalize=False))


@pytest.mark.errors
def test_lines_that_do_not_fit_are_refused_by_name() -> None:
    rows, fewer = draw(5, 3), draw(4, 3)
    with pytest.raises(ValueError, match=r"'modal_user' must have a row per pair, as 'behavior_user' \(got 4 rows"):
        intra_alignment(behavior_user=rows, behavior_item=rows, modal_user=fewer, modal_item=fewer)
    with pytest.raises(ValueError, match=r"'modal_item' must have the shape of 'behavior_item' \(got \[4, 3\]"):
        inter_alignment(behavior_user=rows, modal_user=rows, behavior_item=rows, modal_item=fewer)
