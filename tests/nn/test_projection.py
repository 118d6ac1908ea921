"""Projections of raw features: linear maps of each modality, or of all of them side by side."""

from typing import Any

import numpy as np
import pytest
import torch

from drepm_pyg.nn import ConcatProjection, FeatureMLP, ModalityProjection
from tests import toy


def test_concat_projection_is_a_linear_map_of_the_concatenation(generator: torch.Generator) -> None:
    layer = ConcatProjection(toy.WIDTHS, 4)
    features = {name: torch.randn(7, width, generator=generator) for name, width in toy.WIDTHS.items()}
    mask = torch.tensor([True] * 6 + [False])
    features["text"][6] = 1e3  # what stands in an absent row does not matter
    joined = torch.cat([features["image"], torch.where(mask.unsqueeze(1), features["text"], 0)], dim=1)
    torch.testing.assert_close(layer(features, {"text": mask}), layer.linear(joined))


@pytest.mark.parametrize("cls", [ModalityProjection, FeatureMLP])
def test_each_modality_has_its_own_map_and_absent_rows_are_zero(cls: type) -> None:
    layer = cls(toy.WIDTHS, 4)
    features = {name: torch.randn(5, width) for name, width in toy.WIDTHS.items()}
    out = layer(features, {"image": torch.tensor([True, False, True, True, True])})
    assert {name: tuple(x.shape) for name, x in out.items()} == {"image": (5, 4), "text": (5, 4)}
    assert out["image"][1].tolist() == [0.0] * 4
    assert out["text"].all(dim=1).all()


@pytest.mark.parametrize("cls", [ConcatProjection, ModalityProjection, FeatureMLP])
def test_what_stands_in_an_absent_row_reaches_no_gradient(cls: type) -> None:
    layer, mask = cls(toy.WIDTHS, 4), {"text": torch.tensor([True, False, True])}
    features = {name: torch.randn(3, width) for name, width in toy.WIDTHS.items()}
    gradients = []
    for stand_in in (0.0, torch.nan):
        features["text"] = features["text"].clone()
        features["text"][1] = stand_in
        out = layer(features, mask)
        layer.zero_grad()
        sum((x**2).sum() for x in (out.values() if isinstance(out, dict) else [out])).backward()
        gradients.append([p.grad.clone() for p in layer.parameters()])
    for clean, other in zip(*gradients, strict=True):
        assert torch.equal(clean, other)


@pytest.mark.errors
@pytest.mark.parametrize("cls", [ConcatProjection, FeatureMLP, ModalityProjection])
@pytest.mark.parametrize(
    ("in_channels", "text"),
    [
        ([("text", 3)], r"'in_channels' must map names to numbers \(got \[\('text', 3\)\]\)"),
        ({"text": "3"}, r"'in_channels\['text'\]' must be an integer \(got '3', a str\)"),
        ({"text": 0}, r"'in_channels\['text'\]' must be at least 1 \(got 0\)"),
    ],
)
def test_bad_widths_are_named(cls: type[torch.nn.Module], in_channels: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        cls(in_channels, 2)


@pytest.mark.errors
@pytest.mark.parametrize("cls", [ConcatProjection, FeatureMLP, ModalityProjection])
@pytest.mark.parametrize(
    ("features", "masks", "error", "text"),
    [
        (torch.ones(4, 3), None, TypeError, r"'features' must map modalities to .* \(got a Tensor\)\. Pass \{'text'"),
        (
            {"image": torch.ones(4, 3)},
            None,
            ValueError,
            r"'features' lacks the modalities \['text'\] \(got \['image'\]",
        ),
        ({"text": np.ones((4, 3))}, None, TypeError, r"'features\['text'\]' must be a torch tensor \(got a ndarray\)"),
        (
            {"text": torch.ones(4, 2)},
            None,
            ValueError,
            r"'features\['text'\]' must have the shape \[N, 3\] \(got \[4, 2\]",
        ),
        ({"text": torch.ones(4, 3)}, [True] * 4, TypeError, r"'masks' must map modalities to .* \(got a list\)"),
        ({"text": torch.ones(4, 3)}, {"text": [True] * 4}, TypeError, r"'masks\['text'\]' must be a torch tensor"),
        (
            {"text": torch.ones(4, 3)},
            {"text": torch.ones(4)},
            ValueError,
            r"'masks\['text'\]' must be bool of the shape \[4\], True = present \(got torch.float32, \[4\]\)",
        ),
        (
            {"text": torch.ones(4, 3)},
            {"txt": torch.ones(4) > 0},
            ValueError,
            r"'a modality of masks' must be one of 'text'",
        ),
    ],
)
def test_features_and_masks_that_do_not_fit_are_named(
    cls: type[torch.nn.Module], features: Any, masks: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        cls({"text": 3}, 2)(features, masks)
