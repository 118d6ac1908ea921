"""Rankings by bfloat16 products: the best items of float32 scores, whatever the tables hold."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from drepm_pyg.evaluation import coarse, ranking, topk
from drepm_pyg.evaluation.coarse import CoarseProducts, bfloat16_multiplies, bfloat16_pays, coarse_products
from drepm_pyg.evaluation.scoring import Products, products
from tests.evaluation.test_selection import plain

pytestmark = pytest.mark.skipif(not bfloat16_multiplies(), reason="bfloat16 products of this CPU are not as expected")


@pytest.fixture(autouse=True)
def of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coarse, "_WORTH", 0)
    monkeypatch.setattr(coarse, "bfloat16_pays", lambda: True)


@pytest.fixture
def left_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many users of each block coarse scores did not decide."""
    counts: list[int] = []
    best = CoarseProducts.best

    def counted(self: CoarseProducts, rows: Tensor, place: Tensor, item: Tensor, k: int) -> tuple[Tensor, ...]:
        found = best(self, rows, place, item, k)
        counts.append(len(found[2]))
        return found

    monkeypatch.setattr(CoarseProducts, "best", counted)
    return counts


def assert_best(user: Tensor, item: Tensor, k: int, exclude: Tensor | None = None) -> None:
    """Exactly the best, of tables whose products are exact in float32."""
    scores = user.double() @ item.double().T
    if exclude is not None:
        scores[exclude[0], exclude[1]] = -math.inf
    best = topk(user, item, k, exclude=exclude)
    expected = torch.tensor([plain(row, k) for row in scores.tolist()])
    values = scores.gather(1, expected)
    assert torch.equal(best.ids, expected.masked_fill(values == -math.inf, -1))
    assert torch.equal(best.scores.double(), values)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whole_numbers_and_their_ties(data: st.DataObject) -> None:
    draw = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))
    rows, columns = data.draw(st.integers(1, 40)), data.draw(st.integers(200, 900))
    width, level = data.draw(st.sampled_from([1, 3, 64])), data.draw(st.sampled_from([1, 9, 300]))
    k = data.draw(st.sampled_from([1, 5, 20]))
    user, item = (torch.randint(-level, level + 1, (size, width), generator=draw).float() for size in (rows, columns))
    exclude = torch.stack([torch.randint(size, (3 * columns,), generator=draw) for size in (rows, columns)])
    assert_best(user, item, k, exclude if data.draw(st.booleans()) else None)


def test_scores_that_bfloat16_cannot_tell_apart(left_out: list[int], generator: torch.Generator) -> None:
    # From 1 to 1.002: one bfloat16 number, or two.
    item = torch.ones(2000, 8)
    item[:, 0] += torch.randperm(2000, generator=generator) * 2.0**-20
    user = torch.zeros(30, 8)
    user[:, 0] = 2.0 ** torch.arange(-15, 15)
    assert_best(user, item, 10)
    assert left_out == [30]  # as too many reach any threshold


def test_few_that_bfloat16_cannot_tell_apart(left_out: list[int], generator: torch.Generator) -> None:
    item = torch.randint(-8, 8, (2000, 64), generator=generator) / 16.0
    user = torch.cat([item[:1], torch.randint(-8, 8, (50, 64), generator=generator) / 16.0])
    item[::50] = item[0]
    item[::50, 0] += torch.randperm(40, generator=generator) * 2.0**-14
    assert_best(user, item, 20)
    assert sum(left_out) < 10


def test_most_users_of_random_tables_are_decided(left_out: list[int], generator: torch.Generator) -> None:
    user, item = torch.randn(300, 64, generator=generator), torch.randn(4000, 64, generator=generator)
    best = topk(user, item, 20, batch_size=100)
    assert len(left_out) == 3
    assert sum(left_out) <= 6
    scores = user.double() @ item.double().T
    values, ids = scores.topk(20)
    assert torch.equal(best.ids, ids)
    torch.testing.assert_close(best.scores, values.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("factor", "step"), [(-1.0, 1), (0.0, 1), (-1.0, 7), (2.0**-100, 7)])
def test_users_without_positive_scores(
    factor: float, step: int, left_out: list[int], generator: torch.Generator
) -> None:
    user, item = (torch.randint(1, 500, (size, 4), generator=generator).float() for size in (40, 700))
    user[::step] *= factor
    assert_best(user, item, 5)
    assert 40 / step <= left_out[0] <= 40 / step + 3


def test_hidden_items_and_users_without_candidates(left_out: list[int]) -> None:
    user = torch.arange(1.0, 41).unsqueeze(1)
    item = torch.arange(700.0).unsqueeze(1)
    everything = torch.stack([torch.full((699,), 3), torch.arange(699)])
    best_ones = torch.stack([torch.arange(40).repeat_interleave(30), torch.arange(670, 700).repeat(40)])
    assert_best(user, item, 20, torch.cat([everything, best_ones], dim=1))
    assert left_out == [1]


def test_blocks_after_one_that_is_hardly_decided_are_not_tried(left_out: list[int], generator: torch.Generator) -> None:
    user, item = (-torch.randint(1, 9, (size, 4), generator=generator).float() for size in (100, 700))
    user[:50] *= -1
    best = topk(user, item, 5, batch_size=20)
    assert left_out == [20]
    assert torch.equal(best.ids, topk(user, item, 5, batch_size=1000).ids)


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e5])
def test_coarse_products_are_within_their_bound(scale: float, generator: torch.Generator) -> None:
    user, item = torch.randn(50, 64, generator=generator), scale * torch.randn(512, 64, generator=generator)
    user[::2] = user[::2].abs()  # errors of one sign
    user *= torch.randn(50, 1, generator=generator).exp()
    exact = Products(user, item)
    products = CoarseProducts(exact)
    rows, none = torch.arange(50), torch.arange(0)
    products.best(rows, none, none, 3)
    assert products._used is not None
    found, expected = products._used.double(), user.double() @ item.double().T
    error = (found - expected).abs()
    assert (error <= products._error[:, None] + 2.0**-8 * expected.abs() * (1 + 2.0**-7)).all()
    assert (products._error < 2.0**-6 * user.norm(dim=1) * item.norm(dim=1).max()).all()


@pytest.mark.parametrize(
    ("user", "item", "k"),
    [
        (torch.ones(9, 4, dtype=torch.float64), torch.ones(900, 4, dtype=torch.float64), 5),
        (torch.ones(9, 4), torch.ones(900, 4), 200),
        (torch.full((9, 4), 1e-9), torch.ones(900, 4), 5),
        (torch.ones(9, 4), torch.full((900, 4), 1e9), 5),
        (torch.ones(9, 0), torch.ones(900, 0), 5),
    ],
    ids=["float64", "many wanted", "small", "large", "no columns"],
)
def test_what_coarse_products_do_not_serve(user: Tensor, item: Tensor, k: int) -> None:
    assert coarse_products(products(user, item), len(user), k) is None


def test_few_scores_and_scores_of_a_model_are_no_products_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = products(torch.ones(9, 4), torch.ones(900, 4))
    assert coarse_products(tables, 9, 5) is not None
    assert coarse_products(lambda rows: torch.ones(len(rows), 900), 9, 5) is None
    monkeypatch.setattr(coarse, "_WORTH", 9 * 900 + 1)
    assert coarse_products(tables, 9, 5) is None


def test_a_kernel_that_sums_in_bfloat16_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coarse, "_PROBE", (4, 64, 8))
    assert bfloat16_multiplies.__wrapped__()
    plain_product = torch.Tensor.__matmul__

    def summed(a: Tensor, b: Tensor) -> Tensor:
        if a.dtype != torch.bfloat16:
            return plain_product(a, b)
        out = torch.zeros(len(a), b.size(1), dtype=torch.bfloat16)
        for column in range(a.size(1)):
            out += a[:, column, None] * b[column]
        return out

    monkeypatch.setattr(torch.Tensor, "__matmul__", summed)
    assert not bfloat16_multiplies.__wrapped__()


def test_the_probe_does_not_mind_the_default_device() -> None:
    with torch.device("meta"):
        assert isinstance(bfloat16_pays.__wrapped__(), bool)
        assert bfloat16_multiplies.__wrapped__()


def test_the_memory_of_a_block_is_bounded(monkeypatch: pytest.MonkeyPatch, generator: torch.Generator) -> None:
    sizes: list[int] = []
    mm = torch.mm

    def counted(a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
        sizes.append(out.numel() * out.dtype.itemsize)
        return mm(a, b, out=out)

    monkeypatch.setattr(torch, "mm", counted)
    monkeypatch.setattr(ranking, "_BLOCK_BYTES", 1 << 17)
    user, item = torch.randn(500, 8, generator=generator), torch.randn(1024, 8, generator=generator)
    topk(user, item, 10)
    assert max(sizes) <= 1 << 17
