"""Data by name or path."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_choice
from drepm_pyg.data import MultimodalMovieLens, SyntheticMultimodal, read_mmrec, validate
from drepm_pyg.data.synthetic import MODALITIES

__all__ = ["CACHE", "load_data", "read_data"]

#: Where downloads and graphs are kept, unless another place is named.
CACHE = "runs/.cache"

_log = logging.getLogger(__name__)


def load_data(source: str, *, modalities: Sequence[str] | None = None, cache: str | Path = CACHE) -> HeteroData:
    """Read a data set, and refuse one that has faults (:func:`~drepm_pyg.data.validate`); its warnings are logged.

    Args:
        source: ``"movielens"`` (:class:`~drepm_pyg.data.MultimodalMovieLens`, downloaded once), ``"synthetic"``
            (:class:`~drepm_pyg.data.SyntheticMultimodal` in its default size), or the path of a data set in the field's
            format (:func:`~drepm_pyg.data.read_mmrec`).
        modalities: which modalities to take; None: all of them.
        cache: where downloads are kept.

    Raises:
        FileNotFoundError: where ``source`` is neither a name nor a path.
        ValueError: where a modality is not there, or the data have faults.
    """
    data = read_data(source, modalities=modalities, cache=cache)
    for warning in validate(data):
        _log.info("%s: %s", source, warning)
    return data


def read_data(source: str, *, modalities: Sequence[str] | None = None, cache: str | Path = CACHE) -> HeteroData:
    """:func:`load_data` with whatever faults the data have."""
    if source == "movielens":
        chosen: dict[str, Any] = {} if modalities is None else {"modalities": tuple(modalities)}
        return MultimodalMovieLens(Path(cache) / "movielens", **chosen)[0]
    if source == "synthetic":
        names = tuple(MODALITIES) if modalities is None else tuple(modalities)
        for name in names:
            check_choice(list(MODALITIES), modalities=name)
        return SyntheticMultimodal(modalities={name: MODALITIES[name] for name in names})[0]
    if not Path(source).exists():
        raise FileNotFoundError(
            f"'data' must be 'movielens', 'synthetic' or a path (got '{source}', which does not exist)."
        )
    return read_mmrec(source, modalities=modalities)
