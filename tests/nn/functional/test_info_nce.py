"""InfoNCE by strips of rows: neither the height of a strip nor which side learns changes a value or a gradient."""

import math

import pytest
import torch
from torch import Tensor

from drepm_pyg.nn.functional import info_nce
from drepm_pyg.nn.functional.info_nce import _plain_info_nce
from drepm_pyg.nn.functional.rows import normalize_rows
from drepm_pyg.nn.losses import InfoNCELoss
from tests.random_tensors import draw

ROWS = 7


def assert_same(value: Tensor, expected: Tensor, found: list[Tensor], plain: list[Tensor]) -> None:
    """The losses, and the gradients of both sides for a loss that weighs its rows differently."""
    torch.testing.assert_close(value, expected)
    if not any(leaf.requires_grad for leaf in plain):
        return
    slope = draw(ROWS, seed=5)
    value.backward(slope)
    expected.backward(slope)
    for ours, theirs in zip(found, plain, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("strip", [1, 2, 3, 7, 256])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("learning", [(True, True), (True, False), (False, True), (False, False)])
def test_strips_are_the_plain_formula(
    strip: int, masked: bool, learning: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drepm_pyg.nn.functional.gram._STRIP", strip)
    mask = draw(ROWS, ROWS, seed=3) > 0.5 if masked else None
    found, plain = (
        [draw(ROWS, 4, seed=side).requires_grad_(learns) for side, learns in enumerate(learning)] for _ in range(2)
    )
    value = info_nce(*found, temperature=0.5, normalize=False, mask=mask)
    expected = _plain_info_nce(*plain, 2.0, mask)
    assert_same(value, expected, found, plain)


def test_one_table_may_be_both_sides() -> None:
    found, plain = draw(ROWS, 4).requires_grad_(), draw(ROWS, 4).requires_grad_()
    info_nce(found, found, temperature=1.0, normalize=False).sum().backward()
    _plain_info_nce(plain, plain, 1.0, None).sum().backward()
    torch.testing.assert_close(found.grad, plain.grad)


def draw_repeated(anchors: Tensor, positives: Tensor) -> list[Tensor]:
    """Rows of two tables, as leaves: the gradient of each row can be seen."""
    return [draw(9, 4, seed=side)[ids].requires_grad_() for side, ids in enumerate((anchors, positives))]


IDS = torch.tensor([5, 3, 5, 5, 0, 3, 8]), torch.tensor([2, 2, 7, 2, 2, 7, 2])


@pytest.mark.parametrize("strip", [1, 2, 256])
@pytest.mark.parametrize("learning", [(True, True), (True, False), (False, True)])
def test_ids_change_neither_the_loss_nor_the_gradient_of_any_row(
    strip: int, learning: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drepm_pyg.nn.functional.gram._STRIP", strip)
    found, plain = draw_repeated(*IDS), draw_repeated(*IDS)
    for leaf, learns in zip(found + plain, learning * 2, strict=True):
        leaf.requires_grad_(learns)
    value = info_nce(*found, temperature=0.5, anchor_id=IDS[0], positive_id=IDS[1])
    assert "Counted" in type(value.grad_fn).__name__
    expected = _plain_info_nce(*(normalize_rows(rows) for rows in plain), 2.0, None)
    assert_same(value, expected, found, plain)


def test_one_repeated_row_is_a_uniform_choice() -> None:
    rows, same = torch.ones(8, 3), torch.zeros(8, dtype=torch.long)
    losses = info_nce(rows, rows, anchor_id=same, positive_id=same)
    torch.testing.assert_close(losses, torch.full((8,), math.log(8)))


@pytest.mark.parametrize("options", [{"temperature": 0.02}, {"normalize": False}, {"mask": torch.zeros(7, 7) > 0}])
def test_ids_are_left_aside_where_they_would_cost_precision_or_do_not_hold(options: dict[str, object]) -> None:
    found, plain = draw_repeated(*IDS), draw_repeated(*IDS)
    value = info_nce(*found, anchor_id=IDS[0], positive_id=IDS[1], **options)
    assert "Counted" not in type(value.grad_fn).__name__
    torch.testing.assert_close(value, info_nce(*plain, **options))


def test_rows_that_differ_under_one_id_are_all_taken() -> None:
    found, plain = draw_repeated(*IDS), draw_repeated(*IDS)
    with torch.no_grad():
        for pair in (found, plain):
            pair[1][3] += 1.0
    value = info_nce(*found, anchor_id=IDS[0], positive_id=IDS[1])
    torch.testing.assert_close(value, info_nce(*plain))


def test_losses_near_zero_keep_their_digits() -> None:
    rows, ids = torch.eye(3), torch.arange(3)
    loss = info_nce(rows[[0, 0]], rows[[0, 0]], temperature=0.05, anchor_id=ids[[0, 0]], positive_id=ids[[0, 0]])
    torch.testing.assert_close(loss, torch.full((2,), math.log(2)))
    apart = info_nce(rows, -rows + 2 * rows, temperature=0.05, anchor_id=ids, positive_id=ids)
    torch.testing.assert_close(apart, torch.full((3,), math.log1p(2 * math.exp(-20))), rtol=1e-5, atol=0.0)


@pytest.mark.errors
@pytest.mark.parametrize("ids", [torch.arange(6), torch.zeros(7, 1, dtype=torch.long)])
def test_ids_that_do_not_fit_are_refused(ids: Tensor) -> None:
    rows = draw(ROWS, 4)
    with pytest.raises(ValueError, match=r"'positive_id' must have the shape \[7\], the id of each row"):
        info_nce(rows, rows, anchor_id=torch.arange(7), positive_id=ids)


@pytest.mark.errors
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.bool])
def test_ids_are_integers(dtype: torch.dtype) -> None:
    rows = draw(ROWS, 4)
    with pytest.raises(TypeError, match=rf"'positive_id' must hold integer ids \(got {dtype}\)"):
        info_nce(rows, rows, anchor_id=torch.arange(7), positive_id=torch.arange(7).to(dtype))


@pytest.mark.errors
def test_options_are_checked_without_the_module_too() -> None:
    rows = draw(ROWS, 4)
    with pytest.raises(TypeError, match=r"'normalize' must be True or False \(got 'no'\)"):
        info_nce(rows, rows, normalize="no")


REPEATED = torch.arange(3).repeat(4)


def test_a_mask_decides_where_ids_are_given_too() -> None:
    x, y, mask = draw(12, 4)[REPEATED], draw(12, 4, seed=1)[REPEATED], draw(12, 12, seed=2) > 0.3
    found = info_nce(x, y, temperature=1.0, mask=mask, anchor_id=REPEATED, positive_id=REPEATED)
    torch.testing.assert_close(found, info_nce(x, y, temperature=1.0, mask=mask))


def test_ids_need_rows_of_length_one() -> None:
    x, y = 20 * draw(12, 4)[REPEATED], 20 * draw(12, 4, seed=1)[REPEATED]
    options = {"temperature": 1.0, "normalize": False}
    found = info_nce(x, y, anchor_id=REPEATED, positive_id=REPEATED, **options)
    torch.testing.assert_close(found, info_nce(x, y, **options))


@pytest.mark.parametrize("side", [0, 1])
def test_one_row_of_either_side_that_differs_is_seen(side: int) -> None:
    rows = [draw(12, 4)[REPEATED], draw(12, 4, seed=1)[REPEATED]]
    rows[side][5] += 1.0
    found = info_nce(*rows, temperature=1.0, anchor_id=REPEATED, positive_id=REPEATED)
    torch.testing.assert_close(found, info_nce(*rows, temperature=1.0))


@pytest.mark.parametrize(
    "options", [{}, {"ids": True}, {"mask": draw(12, 12, seed=3) > 0}], ids=["plain", "ids", "mask"]
)
def test_torch_func_differentiates_and_batches_it(options: dict[str, object]) -> None:
    given = {"anchor_id": REPEATED, "positive_id": REPEATED} if options.pop("ids", False) else options
    x, y = draw(12, 4)[REPEATED], draw(12, 4, seed=1)[REPEATED]

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return info_nce(x, y, temperature=0.5, **given)

    leaves = [x.clone().requires_grad_(), y.clone().requires_grad_()]
    expected = torch.autograd.grad(loss(*leaves).sum(), leaves)
    torch.testing.assert_close(torch.func.grad(lambda x, y: loss(x, y).sum(), argnums=(0, 1))(x, y), expected)
    xs, ys = torch.stack([x, y]), torch.stack([y, 2 * x])
    torch.testing.assert_close(torch.func.vmap(loss)(xs, ys), torch.stack([loss(x, y), loss(y, 2 * x)]))
    _, slope = torch.func.jvp(lambda x: loss(x, y).sum(), (x,), (y,))
    torch.testing.assert_close(slope, (expected[0] * y).sum())


@pytest.mark.errors
def test_a_learned_temperature_divides_the_rows() -> None:
    x, y, temperature = draw(ROWS, 4), draw(ROWS, 4, seed=1), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    for call in (lambda: info_nce(x, y, temperature=temperature), lambda: InfoNCELoss(temperature=temperature)):
        with pytest.raises(TypeError, match=r"'temperature' must be a number \(got a Tensor\).*normalize=False"):
            call()
    found = info_nce(normalize_rows(x) / temperature, normalize_rows(y), temperature=1.0, normalize=False)
    torch.testing.assert_close(found, info_nce(x, y, temperature=0.5))
    assert torch.autograd.grad(found.sum(), temperature)[0] != 0


@pytest.mark.parametrize("rows", [1, 3])
def test_rows_without_negatives_have_forward_derivative_0(rows: int) -> None:
    x, y = draw(rows, 4, seed=1), draw(rows, 4, seed=2)
    mask = torch.ones(rows, rows, dtype=torch.bool)
    value, slope = torch.func.jvp(lambda x: info_nce(x, y, mask=mask), (x,), (y,))
    assert value.tolist() == slope.tolist() == [0.0] * rows
