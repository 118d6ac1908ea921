"""BMALoss (Eq. 15): what each term runs on, with which targets, at which cost."""

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from drepm_pyg.nn import losses
from drepm_pyg.nn.functional import FactoredSimilarity, first_occurrences
from drepm_pyg.nn.losses import BMALoss, BMALossOutput
from tests import cases
from tests.nn.losses import formulas
from tests.random_tensors import draw

LINES = ("behavior_user", "behavior_item", "modal_user", "modal_item")
USER = torch.tensor([4, 7, 4, 0, 7, 4])
ITEM = torch.tensor([1, 1, 5, 2, 9, 5])
USERS, ITEMS = [0, 1, 3], [0, 2, 3, 4]  # the first row of each distinct id


def by_id(ids: Tensor, seed: int) -> Tensor:
    """A symmetric target that depends on the ids alone, as the raw features' cosines do."""
    x = F.normalize(draw(10, 5, seed=seed))
    return (x @ x.T)[ids][:, ids]


class TestBMALoss(cases.LossCase):
    cls = BMALoss
    kwargs: ClassVar[dict[str, Any]] = {"alpha": 0.3, "beta": 0.2, "gamma": 0.5}
    targets = ("user_similarity", "item_similarity")

    def inputs(self, rows: int = 6) -> dict[str, Tensor]:
        # Rows of tables, as a batch has them: the same id, the same row.
        ids = {"user": USER[:rows], "item": ITEM[:rows]}
        lines = {name: draw(10, 4, seed=seed)[ids[name[-4:]]] for seed, name in enumerate(LINES)}
        targets = {f"{node}_similarity": by_id(of, seed=len(node) + ord(node[0])) for node, of in ids.items()}
        return {**lines, **ids, **targets}

    def value(self, loss: torch.nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        return loss(**inputs).total

    def terms(self, temperature: float = 0.2, mask: Tensor | None = None, **x: Tensor) -> dict[str, float]:
        user, item = ([ids.index(n) for n in dict.fromkeys(ids)] for ids in (x["user"].tolist(), x["item"].tolist()))
        info_nce, sss = formulas.info_nce, formulas.similarity_supervised
        return {
            "intra": info_nce(x["behavior_user"], x["behavior_item"], temperature=temperature, mask=mask)
            + info_nce(x["modal_user"], x["modal_item"], temperature=temperature, mask=mask),
            "inter": info_nce(x["behavior_user"][user], x["modal_user"][user], temperature=temperature)
            + info_nce(x["behavior_item"][item], x["modal_item"][item], temperature=temperature),
            "sss": sss(x["modal_user"][user], x["user_similarity"][user][:, user])
            + sss(x["modal_item"][item], x["item_similarity"][item][:, item]),
        }

    def reference(self, **inputs: Tensor) -> float:
        terms = self.terms(**inputs)
        return 0.3 * terms["intra"] + 0.2 * terms["inter"] + 0.5 * terms["sss"]

    def test_zero_rows_stay_where_they_are(self) -> None:
        # Row 0 of every input is the same user's and item's, whose further rows must be zero, too.
        inputs = self.cast(self.inputs(), torch.float32)
        inputs = self.changed(inputs, lambda x: x * torch.tensor([0.0, 1, 0, 1, 1, 0]).unsqueeze(1))
        value = self.value(self.build(), inputs)
        value.backward()
        assert value.isfinite()
        assert all(not gradient[0].any() and gradient[1:].any() for gradient in self.gradients(inputs))

    def test_repr_is_the_call_that_built_it(self) -> None:
        text = repr(BMALoss(0.1, 0.2, 0.5, temperature=0.4, sss_metric="dot"))
        assert text.startswith("BMALoss(\n  0.1, 0.2, 0.5, distinct=True, mask_duplicates=False")
        assert "temperature=0.4" in text
        assert "metric='dot'" in text

    def test_terms_are_the_formulas(self) -> None:
        inputs = self.inputs()
        output = BMALoss(2.0, 3.0, 4.0, temperature=0.4)(**inputs)
        terms = self.terms(temperature=0.4, **inputs)
        for name, value in terms.items():
            assert getattr(output, name).item() == pytest.approx(value, rel=1e-10), name
        expected = 2 * terms["intra"] + 3 * terms["inter"] + 4 * terms["sss"]
        assert output.total.item() == pytest.approx(expected, rel=1e-10)


@pytest.fixture
def inputs() -> dict[str, Tensor]:
    return TestBMALoss().inputs()


def test_hand_worked() -> None:
    # Every row the same: intra 2 ln 4 over the 4 pairs, inter ln 2 + ln 3 over 2 users and 3 items; cosines are all 1.
    rows = torch.ones(4, 3)
    output = BMALoss(1.0, 1.0, 1.0)(
        **dict.fromkeys(LINES, rows),
        user=torch.tensor([5, 5, 8, 8]),
        item=torch.tensor([1, 2, 3, 1]),
        user_similarity=torch.zeros(2, 2),
        item_similarity=torch.ones(3, 3),
    )
    expected = torch.tensor([4.0]).log() * 2, torch.tensor([2.0]).log() + torch.tensor([3.0]).log(), torch.ones(1)
    torch.testing.assert_close(torch.stack(output[1:]), torch.cat(expected))
    torch.testing.assert_close(output.total, torch.cat(expected).sum())


def test_targets_may_come_in_every_form(inputs: dict[str, Tensor]) -> None:
    names, rows, ids = ("user_similarity", "item_similarity"), (USERS, ITEMS), (USER, ITEM)
    loss = BMALoss(0.0, 0.0, 1.0)
    expected = loss(**inputs)

    distinct = {name: inputs[name][of][:, of] for name, of in zip(names, rows, strict=True)}
    assert torch.equal(loss(**{**inputs, **distinct}).sss, expected.sss)

    roots = {name: torch.linalg.cholesky(inputs[name] + 1e-13 * torch.eye(6)) for name in names}
    whole = {name: FactoredSimilarity([root]) for name, root in roots.items()}
    torch.testing.assert_close(loss(**{**inputs, **whole}), expected, rtol=1e-9, atol=1e-9)

    by_rows = {name: FactoredSimilarity([roots[name][of]]) for name, of in zip(names, rows, strict=True)}
    torch.testing.assert_close(loss(**{**inputs, **by_rows}), expected, rtol=1e-9, atol=1e-9)

    asked = {}
    for name, of, target in zip(names, ids, distinct.values(), strict=True):

        def give(distinct_ids: Tensor, of: Tensor = of, target: Tensor = target) -> Tensor:
            assert torch.equal(distinct_ids, of[first_occurrences(of)])
            return target

        asked[name] = give
    assert torch.equal(loss(**{**inputs, **asked}).sss, expected.sss)


def test_all_rows_take_part_where_distinct_is_off(inputs: dict[str, Tensor]) -> None:
    output = BMALoss(0.0, 1.0, 1.0, distinct=False)(**inputs)
    inter = sum(formulas.info_nce(inputs[f"behavior_{n}"], inputs[f"modal_{n}"]) for n in ("user", "item"))
    sss = sum(formulas.similarity_supervised(inputs[f"modal_{n}"], inputs[f"{n}_similarity"]) for n in ("user", "item"))
    assert output.inter.item() == pytest.approx(inter)
    assert output.sss.item() == pytest.approx(sss)


def test_repeated_pairs_change_intra_alone(inputs: dict[str, Tensor]) -> None:
    rows = torch.tensor([0, 1, 2, 3, 4, 5, 0, 3])
    repeated = {name: x[rows] for name, x in inputs.items()}
    for name in ("user_similarity", "item_similarity"):
        repeated[name] = repeated[name][:, rows]
    once, twice = (BMALoss(1.0, 1.0, 1.0)(**x) for x in (inputs, repeated))
    assert torch.equal(once.inter, twice.inter)
    assert torch.equal(once.sss, twice.sss)
    assert once.intra != twice.intra


def test_masks_reach_intra_alone(inputs: dict[str, Tensor]) -> None:
    known = torch.zeros(6, 6, dtype=torch.bool)
    known[0, 3] = known[5, 1] = True
    same = ITEM[:, None] == ITEM
    plain = BMALoss(1.0, 1.0, 1.0)(**inputs)
    for options, mask, expected in (
        ({}, known, known),
        ({"mask_duplicates": True}, None, same),
        ({"mask_duplicates": True}, known, known | same),
    ):
        output = BMALoss(1.0, 1.0, 1.0, **options)(**inputs, mask=mask)
        terms = TestBMALoss().terms(mask=expected, **inputs)
        assert output.intra.item() == pytest.approx(terms["intra"])
        assert torch.equal(output.inter, plain.inter)
        assert torch.equal(output.sss, plain.sss)


@pytest.mark.parametrize(("place", "name"), list(enumerate(["intra", "inter", "sss"])))
def test_a_weight_of_zero_costs_nothing(place: int, name: str, inputs: dict[str, Tensor]) -> None:
    weights = [0.3, 0.2, 0.5]
    whole = BMALoss(*weights)(**inputs)
    weights[place] = 0.0
    loss = BMALoss(*weights)

    def fail(*_: Any) -> None:
        raise AssertionError(f"{name} was computed")

    getattr(loss, name).register_forward_pre_hook(fail)
    output = loss(**inputs)
    assert getattr(output, name) == 0
    assert all(torch.equal(getattr(output, n), getattr(whole, n)) for n in ("intra", "inter", "sss") if n != name)


def test_without_any_weight_the_total_is_zero_and_needs_no_target(inputs: dict[str, Tensor]) -> None:
    del inputs["user_similarity"], inputs["item_similarity"]
    assert BMALoss(0.0, 0.0, 0.0)(**inputs) == BMALossOutput(*torch.zeros(4, dtype=torch.float64))


@pytest.mark.errors
def test_lines_of_different_width_can_be_aligned_within(inputs: dict[str, Tensor]) -> None:
    inputs["modal_user"], inputs["modal_item"] = draw(6, 3, seed=8), draw(6, 3, seed=9)
    assert BMALoss(1.0, 0.0, 1.0)(**inputs).total.isfinite()
    with pytest.raises(ValueError, match=r"'modal_user' must have the shape of 'behavior_user'"):
        BMALoss(1.0, 1.0, 1.0)(**inputs)


def test_options_of_sss_arrive(inputs: dict[str, Tensor]) -> None:
    options = {"metric": "dot", "reduction": "frobenius_per_row"}
    output = BMALoss(0.0, 0.0, 1.0, distinct=False, sss_metric="dot", sss_reduction="frobenius_per_row")(**inputs)
    each = losses.SimilaritySupervisedLoss(**options)
    expected = sum(each(inputs[f"modal_{n}"], inputs[f"{n}_similarity"]) for n in ("user", "item"))
    torch.testing.assert_close(output.sss, expected)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("half", [("modal_user", "modal_item"), ("behavior_item",), ("modal_user",)])
def test_rows_of_half_precision_stand_beside_others(
    half: tuple[str, ...], normalize: bool, inputs: dict[str, Tensor]
) -> None:
    """Autocast gives such rows: embeddings stay float32, what a linear layer makes is bfloat16."""
    inputs = {name: x.float() if x.is_floating_point() else x for name, x in inputs.items()}
    mixed = inputs | {name: inputs[name].bfloat16().requires_grad_() for name in half}
    widened = mixed | {name: mixed[name].detach().float().requires_grad_() for name in half}
    bma = BMALoss(1.0, 1.0, 1.0, normalize=normalize)
    output, expected = bma(**mixed), bma(**widened)
    torch.testing.assert_close(output, expected)
    output.total.backward()
    expected.total.backward()
    for name in half:
        torch.testing.assert_close(mixed[name].grad.float(), widened[name].grad, **cases.TOLERANCE[torch.bfloat16])


def test_normalize_can_be_switched_off(inputs: dict[str, Tensor]) -> None:
    output = BMALoss(1.0, 0.0, 0.0, temperature=2.0, normalize=False)(**inputs)
    expected = sum(
        formulas.info_nce(inputs[f"{line}_user"], inputs[f"{line}_item"], temperature=2.0, normalize=False)
        for line in ("behavior", "modal")
    )
    assert output.intra.item() == pytest.approx(expected)


@pytest.mark.errors
@pytest.mark.parametrize("name", ["user_similarity", "item_similarity"])
def test_a_missing_target_is_named(name: str, inputs: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=rf"'{name}' is needed where 'gamma' is above 0.*or set gamma=0"):
        BMALoss(0.1, 0.1, 0.1)(**{**inputs, name: None})


@pytest.mark.errors
def test_inputs_that_do_not_fit_are_refused(inputs: dict[str, Tensor]) -> None:
    loss = BMALoss(0.1, 0.1, 0.1)
    with pytest.raises(ValueError, match=r"'item_similarity'.*\[6, 6\].*\[4, 4\].*\(got \[5, 5\]\)"):
        loss(**{**inputs, "item_similarity": torch.zeros(5, 5)})
    with pytest.raises(ValueError, match=r"'user' and 'item' must be ids \[B\].*Gather the rows of the batch first"):
        loss(**{**inputs, "modal_user": torch.zeros(10, 4)})
    with pytest.raises(ValueError, match=r"'mask' must have the shape \[6, 6\]"):
        loss(**inputs, mask=torch.zeros(6, 1, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"'beta' must be a finite number of at least 0 \(got -1\)"):
        BMALoss(0.1, -1, 0.1)


@pytest.mark.errors
@pytest.mark.parametrize("name", ["user", "item"])
def test_ids_are_tensors_of_integers(name: str, inputs: dict[str, Tensor]) -> None:
    for dtype in (torch.float32, torch.bool):
        with pytest.raises(TypeError, match=rf"'{name}' must hold integer ids \(got {dtype}\)"):
            BMALoss(0.1, 0.1, 0.1)(**{**inputs, name: inputs[name].to(dtype)})


@pytest.mark.errors
@pytest.mark.parametrize("name", [*LINES, "user", "item", "mask"])
def test_lists_are_no_tensors(name: str, inputs: dict[str, Tensor]) -> None:
    with pytest.raises(TypeError, match=rf"'{name}' must be a torch tensor \(got a list\)"):
        BMALoss(0.1, 0.1, 0.1)(**{**inputs, name: [[True]]})


@pytest.mark.errors
@pytest.mark.parametrize("name", ["user_similarity", "item_similarity"])
def test_a_target_is_a_matrix_or_gives_one(name: str, inputs: dict[str, Tensor]) -> None:
    with pytest.raises(TypeError, match=rf"'{name}' must be a torch tensor.* or a callable \(got a list\)"):
        BMALoss(0.1, 0.1, 0.1)(**{**inputs, name: [[1.0]]})


@pytest.mark.errors
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"distinct": "no"}, r"'distinct' must be True or False \(got 'no'\)"),
        ({"mask_duplicates": 1}, r"'mask_duplicates' must be True or False \(got 1\)"),
        ({"normalize": "no"}, r"'normalize' must be True or False \(got 'no'\)"),
        ({"alpha": None}, r"'alpha' must be a number \(got None"),
        ({"temperature": None}, r"'temperature' must be a number \(got None"),
        ({"sss_metric": "x"}, r"'sss_metric' must be one of 'cosine', 'dot' \(got 'x'\)"),
        ({"sss_reduction": "x"}, r"'sss_reduction' must be one of 'mean', 'frobenius', .* \(got 'x'\)"),
    ],
)
def test_bad_options_are_refused_when_built(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        BMALoss(**{"alpha": 0.1, "beta": 0.1, "gamma": 0.1, **wrong})


def test_without_any_weight_the_total_has_a_gradient_of_zero(inputs: dict[str, Tensor]) -> None:
    for name in LINES:
        inputs[name] = torch.full_like(inputs[name], torch.nan).requires_grad_()
    output = BMALoss(0.0, 0.0, 0.0)(**inputs)
    assert output.total == 0
    output.total.backward()
    assert all(not inputs[name].grad.any() for name in LINES)
