"""One module per modality, whatever the modality is called."""

import pytest
import torch
from torch import nn

from drepm_pyg.nn.modality_dict import ModalityDict, check_in_channels

#: Names that torch.nn.ModuleDict refuses, or that would be one key in a state dict.
NAMES = ("a.b", "a%2Eb", "a%b", "a b", "keys", "training", "")


def modules() -> ModalityDict[nn.Linear]:
    return ModalityDict({name: nn.Linear(1, width + 1) for width, name in enumerate(NAMES)})


def test_it_is_a_mapping_in_the_order_given() -> None:
    found = modules()
    assert len(found) == len(NAMES)
    assert list(found) == [name for name, _ in found.items()] == list(NAMES)
    assert [found[name].out_features for name in NAMES] == list(range(1, len(NAMES) + 1))
    assert list(found.values()) == [found[name] for name in NAMES]


def test_a_name_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        modules()["image"]


def test_every_module_is_saved_under_a_key_of_its_own_and_restored() -> None:
    first, second = modules(), modules()
    state = first.state_dict()
    assert len(state) == 2 * len(NAMES)
    assert all(key.count(".") == 1 for key in state)
    second.load_state_dict(state)
    assert all(torch.equal(first[name].weight, second[name].weight) for name in NAMES)


@pytest.mark.errors
def test_widths_are_checked_by_name() -> None:
    check_in_channels({"a.b": 1})
    with pytest.raises(ValueError, match=r"'in_channels' must name at least one modality \(got an empty mapping\)\."):
        check_in_channels({})
    with pytest.raises(ValueError, match=r"'in_channels\['text'\]' must be at least 1 \(got 0\)"):
        check_in_channels({"image": 4, "text": 0})
    with pytest.raises(TypeError, match=r"'in_channels' must map names to numbers \(got \[4\]\)"):
        check_in_channels([4])
