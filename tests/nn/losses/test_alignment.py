"""InfoNCE and the alignments made of it (Eq. 8-11)."""

import math
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from drepm_pyg.nn.losses import InfoNCELoss, InterAlignmentLoss, IntraAlignmentLoss
from tests import cases
from tests.nn.losses import formulas
from tests.random_tensors import draw


class TestInfoNCELoss(cases.LossCase):
    cls = InfoNCELoss
    kwargs: ClassVar[dict[str, Any]] = {"temperature": 0.5}

    def inputs(self, rows: int = 6) -> dict[str, Tensor]:
        return {"anchor": draw(rows, 4), "positive": draw(rows, 4, seed=1)}

    def reference(self, **inputs: Tensor) -> float:
        return formulas.info_nce(**inputs, **self.kwargs)


class TestRawProducts(TestInfoNCELoss):
    kwargs: ClassVar[dict[str, Any]] = {"temperature": 0.7, "normalize": False}
    normalizes = False


class TestMasked(TestInfoNCELoss):
    kwargs: ClassVar[dict[str, Any]] = {"temperature": 0.2}

    def inputs(self, rows: int = 6) -> dict[str, Tensor]:
        return {**super().inputs(rows), "mask": draw(rows, rows, seed=2) > 0}


class TestIntraAlignmentLoss(cases.LossCase):
    cls = IntraAlignmentLoss
    kwargs: ClassVar[dict[str, Any]] = {"temperature": 0.3}

    def inputs(self, rows: int = 6) -> dict[str, Tensor]:
        names = ("behavior_user", "behavior_item", "modal_user", "modal_item")
        return {name: draw(rows, 4, seed=seed) for seed, name in enumerate(names)}

    def reference(
        self, behavior_user: Tensor, behavior_item: Tensor, modal_user: Tensor, modal_item: Tensor, **mask: Tensor
    ) -> float:
        behavior = formulas.info_nce(behavior_user, behavior_item, **self.kwargs, **mask)
        return behavior + formulas.info_nce(modal_user, modal_item, **self.kwargs, **mask)


class TestMaskedIntraAlignment(TestIntraAlignmentLoss):
    def inputs(self, rows: int = 6) -> dict[str, Tensor]:
        return {**super().inputs(rows), "mask": draw(rows, rows, seed=9) > 0.5}


class TestInterAlignmentLoss(cases.LossCase):
    cls = InterAlignmentLoss
    kwargs: ClassVar[dict[str, Any]] = {"temperature": 0.3}

    def inputs(self, rows: int = 6) -> dict[str, Tensor]:
        items = rows if rows == 1 else rows - 2
        return {
            "behavior_user": draw(rows, 4),
            "modal_user": draw(rows, 4, seed=1),
            "behavior_item": draw(items, 4, seed=2),
            "modal_item": draw(items, 4, seed=3),
        }

    def reference(self, behavior_user: Tensor, modal_user: Tensor, behavior_item: Tensor, modal_item: Tensor) -> float:
        users = formulas.info_nce(behavior_user, modal_user, **self.kwargs)
        return users + formulas.info_nce(behavior_item, modal_item, **self.kwargs)


def test_hand_worked() -> None:
    # Orthonormal pairs at temperature 1: -ln(e / (e + 1)) in every row.
    x = torch.eye(2, dtype=torch.float64)
    loss = InfoNCELoss(temperature=1.0, reduction="none")(x, 3 * x)
    torch.testing.assert_close(loss, torch.full((2,), math.log1p(math.exp(-1)), dtype=torch.float64))
    # Against the rows of the other: -ln(1 / (1 + e))
    swapped = InfoNCELoss(temperature=1.0, reduction="none")(x, x.flip(0))
    torch.testing.assert_close(swapped, torch.full((2,), math.log1p(math.exp(1)), dtype=torch.float64))


def test_all_equal_rows_cost_the_logarithm_of_their_number() -> None:
    assert InfoNCELoss()(torch.ones(7, 3), torch.ones(7, 3)).item() == pytest.approx(math.log(7), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_good_match_keeps_its_digits_and_its_gradient(dtype: torch.dtype) -> None:
    # 1 + 4 e^-25 rounds to 1 in float32 and -40 to nothing of the sort: the loss is as small as the negatives' share.
    x = torch.eye(5, dtype=dtype).requires_grad_()
    loss = InfoNCELoss(temperature=1 / 25)(x, torch.eye(5, dtype=dtype))
    loss.backward()
    assert loss.item() == pytest.approx(math.log1p(4 * math.exp(-25)), rel=1e-6)
    assert x.grad is not None
    assert x.grad[0, 1].item() == pytest.approx(25 / 5 * math.exp(-25), rel=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e18])
def test_the_length_of_a_row_does_not_matter(scale: float) -> None:
    x, y = draw(5, 3).float(), draw(5, 3, seed=1).float()
    torch.testing.assert_close(InfoNCELoss()(scale * x, y), InfoNCELoss()(x, y))


def test_one_row_costs_exactly_nothing() -> None:
    for loss in (InfoNCELoss(), InfoNCELoss(normalize=False)):
        x = draw(1, 4).float().requires_grad_()
        value = loss(x, draw(1, 4, seed=1).float())
        value.backward()
        assert value.item() == 0
        assert x.grad is not None
        assert not x.grad.any()


def test_all_masked_costs_exactly_nothing_and_the_diagonal_stays() -> None:
    x, y = draw(4, 3), draw(4, 3, seed=1)
    assert InfoNCELoss()(x, y, mask=torch.ones(4, 4, dtype=torch.bool)).item() == 0
    diagonal = torch.eye(4, dtype=torch.bool)
    assert torch.equal(InfoNCELoss()(x, y, mask=diagonal), InfoNCELoss()(x, y))


def test_a_masked_column_is_as_if_it_were_not_there() -> None:
    x, y = draw(4, 3), draw(4, 3, seed=1)
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[:, 3] = True
    each = InfoNCELoss(reduction="none")
    torch.testing.assert_close(each(x, y, mask=mask)[:3], each(x[:3], y[:3]))


def test_the_mask_is_not_changed() -> None:
    mask = torch.ones(3, 3, dtype=torch.bool)
    InfoNCELoss()(draw(3, 2), draw(3, 2, seed=1), mask=mask)
    assert mask.all()


def test_one_side_may_be_fixed() -> None:
    x, y = draw(4, 3).requires_grad_(), draw(4, 3, seed=1).requires_grad_()
    InfoNCELoss()(x, y).backward()
    for fixed, learned, gradient in ((0, 1, y.grad), (1, 0, x.grad)):
        sides = [draw(4, 3), draw(4, 3, seed=1)]
        sides[learned].requires_grad_()
        InfoNCELoss()(*sides).backward()
        assert sides[fixed].grad is None
        torch.testing.assert_close(sides[learned].grad, gradient)


def test_a_second_derivative_is_refused_instead_of_wrong() -> None:
    x = draw(4, 3).requires_grad_()
    with pytest.raises(RuntimeError, match=r"'info_nce' has a first derivative only.*got create_graph=True"):
        torch.autograd.grad(InfoNCELoss()(x, draw(4, 3, seed=1)), x, create_graph=True)


@pytest.mark.parametrize("case", [TestInfoNCELoss, TestIntraAlignmentLoss])
def test_mean_and_sum_follow_from_none(case: type[cases.LossCase]) -> None:
    inputs = case().inputs()
    each = case.cls(reduction="none")(**inputs)
    assert each.shape == (6,)
    torch.testing.assert_close(case.cls(reduction="sum")(**inputs), each.sum())
    torch.testing.assert_close(case.cls(reduction="mean")(**inputs), each.mean())


def test_inter_alignment_reduces_users_and_items_apart() -> None:
    inputs = TestInterAlignmentLoss().inputs()
    each = InterAlignmentLoss(reduction="none")(**inputs)
    assert each.shape == (6 + 4,)
    torch.testing.assert_close(InterAlignmentLoss(reduction="sum")(**inputs), each.sum())
    torch.testing.assert_close(InterAlignmentLoss()(**inputs), each[:6].mean() + each[6:].mean())


@pytest.mark.compile
@pytest.mark.slow
def test_inductor_compiles_it_whole() -> None:
    torch._dynamo.reset()
    x, y = draw(6, 4).float(), draw(6, 4, seed=1).float()
    mask = draw(6, 6, seed=2) > 0
    values, gradients = [], []
    for loss in (InfoNCELoss(), torch.compile(InfoNCELoss(), fullgraph=True)):
        leaf = x.clone().requires_grad_()
        values.append(loss(leaf, y, mask=mask))
        values[-1].backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"positive": torch.zeros(5, 4)}, ValueError, r"'positive' must have the shape of 'anchor' \(got \[5, 4\]"),
        ({"anchor": torch.zeros(6, 4).numpy()}, TypeError, r"'anchor' must be a torch tensor \(got a ndarray\)"),
        ({"anchor": torch.zeros(6, 4).long()}, TypeError, r"'anchor' must be floating point \(got torch.int64\)"),
        ({"anchor": torch.zeros(4)}, ValueError, r"'anchor' must have the shape \[B, D\] with at least one row"),
        ({"anchor": torch.zeros(0, 4)}, ValueError, r"at least one row and column \(got \[0, 4\]\)"),
        ({"anchor": torch.zeros(6, 0)}, ValueError, r"at least one row and column \(got \[6, 0\]\)"),
        (
            {"positive": torch.zeros(6, 4).half()},
            TypeError,
            r"'positive' must have the dtype of 'anchor' \(got torch.f",
        ),
        (
            {"mask": torch.zeros(6, 6)},
            TypeError,
            r"'mask' must be a bool tensor, True = not a negative \(got torch.float",
        ),
        ({"mask": [[True]]}, TypeError, r"'mask' must be a torch tensor \(got a list\)"),
        ({"anchor": [[1.0]]}, TypeError, r"'anchor' must be a torch tensor \(got a list\)"),
        ({"anchor_id": [0]}, TypeError, r"'anchor_id' must be a torch tensor \(got a list\)"),
        (
            {"mask": torch.zeros(6, 5, dtype=torch.bool)},
            ValueError,
            r"'mask' must have the shape \[6, 6\]",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        InfoNCELoss()(**{**TestInfoNCELoss().inputs(), **changes})


@pytest.mark.errors
@pytest.mark.parametrize("cls", [InfoNCELoss, IntraAlignmentLoss, InterAlignmentLoss])
def test_bad_options_are_refused_when_built(cls: type[InfoNCELoss]) -> None:
    with pytest.raises(ValueError, match=r"'temperature' must be a finite number above 0 \(got 0\)"):
        cls(temperature=0)
    for wrong in ("x", None):
        with pytest.raises(TypeError, match=rf"'temperature' must be a number \(got {wrong!r}, a \w+\)"):
            cls(temperature=wrong)
    with pytest.raises(TypeError, match=r"'normalize' must be True or False \(got 'no'\)"):
        cls(normalize="no")
    with pytest.raises(ValueError, match=r"'reduction' must be one of"):
        cls(reduction="max")


@pytest.mark.errors
def test_the_line_that_does_not_fit_is_named() -> None:
    inputs = TestIntraAlignmentLoss().inputs()
    with pytest.raises(ValueError, match=r"'modal_item' must have the shape of 'modal_user' \(got \[6, 3\]"):
        IntraAlignmentLoss()(**{**inputs, "modal_item": inputs["modal_item"][:, :3]})


@pytest.mark.errors
@pytest.mark.parametrize("name", ["user", "item"])
def test_ids_that_do_not_fit_are_named_as_they_were_given(name: str) -> None:
    inputs = {**TestIntraAlignmentLoss().inputs(), "user": torch.arange(6), "item": torch.arange(6)}
    with pytest.raises(TypeError, match=rf"'{name}' must hold integer ids \(got torch.float32\)"):
        IntraAlignmentLoss()(**{**inputs, name: torch.arange(6.0)})
    with pytest.raises(ValueError, match=rf"'{name}' must have the shape \[6\], the id of each row \(got \[5\]\)"):
        IntraAlignmentLoss()(**{**inputs, name: torch.arange(5)})


@pytest.mark.errors
def test_lines_of_different_numbers_of_pairs_are_refused() -> None:
    """A single row would be broadcast."""
    one, five = torch.ones(1, 4), torch.ones(5, 4)
    with pytest.raises(
        ValueError, match=r"'modal_user' must have a row per pair, as 'behavior_user' \(got 5 rows for 1"
    ):
        IntraAlignmentLoss()(behavior_user=one, behavior_item=one, modal_user=five, modal_item=five)
