"""The filter gate against Eq. 4."""

import numpy as np
import pytest
import torch

from drepm_pyg.nn import FilterGate


def test_gate_matches_its_equation(generator: torch.Generator) -> None:
    gate = FilterGate(6, 4)
    with torch.no_grad():
        gate.bias.normal_(generator=generator)
    raw, e = torch.randn(9, 6, generator=generator), torch.randn(9, 4, generator=generator)
    w, b = (p.detach().double().numpy() for p in (gate.weight, gate.bias))
    expected = e.double().numpy() / (1 + np.exp(-(raw.double().numpy() @ w + b)))
    np.testing.assert_allclose(gate(raw, e).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(gate.gate(gate.project(raw), e), gate(raw, e))
    assert gate(raw.view(3, 3, 6), e.view(3, 3, 4)).shape == (3, 3, 4)
    assert repr(gate) == "FilterGate(6, 4)"


def test_gate_starts_without_bias_and_learns_in_float64() -> None:
    gate = FilterGate(3, 2).double()
    assert gate.bias.tolist() == [0.0, 0.0]
    raw, e = (torch.randn(4, width, dtype=torch.float64, requires_grad=True) for width in (3, 2))
    assert torch.autograd.gradcheck(gate, (raw, e))


def test_half_precision_features_are_taken() -> None:
    gate = FilterGate(6, 4)
    raw = torch.randn(3, 6)
    torch.testing.assert_close(gate.project(raw.half()), gate.project(raw), atol=1e-2, rtol=1e-2)


@pytest.mark.errors
def test_wrong_widths_are_named() -> None:
    with pytest.raises(ValueError, match=r"'raw' must have 6 columns \(got \[3, 5\]\)"):
        FilterGate(6, 4)(torch.ones(3, 5), torch.ones(3, 4))
    with pytest.raises(ValueError, match=r"'id_embedding' must have 4 columns \(got \[3, 1\]\)"):
        FilterGate(6, 4)(torch.ones(3, 6), torch.ones(3, 1))
    with pytest.raises(ValueError, match=r"'out_channels' must be at least 1 \(got 0\)"):
        FilterGate(6, 0)


@pytest.mark.compile
def test_compiles_in_one_graph() -> None:
    gate, raw, e = FilterGate(3, 2), torch.randn(4, 3), torch.randn(4, 2)
    torch.testing.assert_close(torch.compile(gate, fullgraph=True, backend="aot_eager")(raw, e), gate(raw, e))


def test_exports_with_any_number_of_rows() -> None:
    """Blocks of rows are for eager calls: they would bake the number of the example's rows in."""
    gate, rows = FilterGate(8, 4), torch.export.Dim("rows")
    exported = torch.export.export(gate, (torch.randn(5, 8), torch.randn(5, 4)), dynamic_shapes=({0: rows}, {0: rows}))
    for count in (7, 2000):
        raw, embedding = torch.randn(count, 8), torch.randn(count, 4)
        torch.testing.assert_close(exported.module()(raw, embedding), gate(raw, embedding))


@pytest.mark.parametrize("rows", [5, 1500])
def test_torch_func_differentiates_and_batches_it(rows: int, generator: torch.Generator) -> None:
    gate = FilterGate(6, 4).double()
    raw, e = (torch.randn(rows, width, generator=generator, dtype=torch.float64) for width in (6, 4))

    def loss(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(gate, parameters, (raw, e)).square().sum()

    found = torch.func.grad(loss)({name: p.detach() for name, p in gate.named_parameters()})
    loss(dict(gate.named_parameters())).backward()
    for name, parameter in gate.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)
    raws, es = torch.stack([raw, 2 * raw]), torch.stack([e, e + 1])
    torch.testing.assert_close(torch.func.vmap(gate)(raws, es), torch.stack([gate(raw, e), gate(2 * raw, e + 1)]))


@pytest.mark.errors
def test_arrays_are_no_tensors() -> None:
    gate = FilterGate(6, 4)
    with pytest.raises(TypeError, match=r"'raw' must be a torch tensor \(got a ndarray\)"):
        gate(np.ones((3, 6)), torch.ones(3, 4))
    with pytest.raises(TypeError, match=r"'id_embedding' must be a torch tensor \(got a list\)"):
        gate(torch.ones(3, 6), [[1.0] * 4] * 3)
