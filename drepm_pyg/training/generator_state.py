"""torch's generator in every checkpoint: Lightning keeps none."""

from typing import Any

import lightning
import torch

__all__ = ["GeneratorState"]


class GeneratorState(lightning.Callback):
    """Save torch's generator with each checkpoint, so that dropout goes on where it was."""

    def state_dict(self) -> dict[str, Any]:
        """The state of the CPU's generator, and of the current CUDA device where there is one."""
        state = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put the generators where they were."""
        torch.set_rng_state(state_dict["cpu"].cpu())
        if "cuda" in state_dict and torch.cuda.is_available():
            torch.cuda.set_rng_state(state_dict["cuda"].cpu())
