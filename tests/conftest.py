"""Settings that every test shares: invariants on, device and tolerances in one place."""

import pytest
import torch

# A malformed sparse tensor fails here instead of crashing the process.
torch.sparse.check_sparse_tensor_invariants.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="the device that the `device` fixture gives")


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.config.getoption("--device"))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


TOLERANCE = {
    torch.float64: {"rtol": 1e-10, "atol": 1e-12},
    torch.float32: {"rtol": 1e-5, "atol": 1e-5},
    torch.bfloat16: {"rtol": 2e-2, "atol": 2e-2},
    torch.float16: {"rtol": 2e-2, "atol": 2e-2},
}
