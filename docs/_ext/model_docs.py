"""What the docstring of a model says for the tables: its ``Reference`` row, its title, where it deviates."""

import inspect
import re
from dataclasses import dataclass

__all__ = ["COLUMNS", "ModelDoc", "model_doc"]

#: What a model may use: the columns of the table, and the words of a ``Reference`` row.
COLUMNS = ("ids", "features", "user-item graph", "user graph", "item graph", "contrastive")

_DEVIATIONS = ("Deviations from the paper", "What the paper leaves open")


@dataclass(frozen=True)
class ModelDoc:
    """One row: name, year and venue of the paper, what the model uses, the equations; and the prose beside it."""

    name: str
    year: str
    venue: str
    uses: tuple[str, ...]
    equations: str
    paper: str
    deviations: str


def model_doc(cls: type) -> ModelDoc:
    """Read the docstring of a model.

    Raises:
        ValueError: where the ``Reference`` row is missing, has not five fields, or names something unknown.
    """
    text = inspect.getdoc(cls) or ""
    row = re.search(r"^Reference:\n\s+(.+)$", text, re.MULTILINE)
    fields = [field.strip() for field in row.group(1).split("|")] if row else []
    if len(fields) != 5:
        raise ValueError(f"{cls.__name__}: the docstring needs 'Reference:' with five fields (got {fields}).")
    name, year, venue, uses, equations = fields
    named = tuple(re.sub(r"\s*\(.*\)", "", use).strip() for use in uses.split(","))
    unknown = sorted(set(named) - set(COLUMNS))
    if unknown:
        raise ValueError(f"{cls.__name__}: the Reference row names {unknown}; known are {list(COLUMNS)}.")
    paragraphs = re.split(r"\n\s*\n", text)
    paper = next((p for p in paragraphs if p.startswith('"')), "")
    return ModelDoc(name, year, venue, named, equations, _one_line(paper), _deviations(paragraphs))


def _deviations(paragraphs: list[str]) -> str:
    for paragraph in paragraphs:
        for start in _DEVIATIONS:
            if start in paragraph:
                return _one_line(paragraph[paragraph.index(start) :])
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
