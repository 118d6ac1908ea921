"""``drepm models``."""

from collections.abc import Sequence
from typing import Any

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Parser, add_format
from drepm_pyg.cli.output import show

__all__ = ["parser", "run"]


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm models``."""
    parser = Parser("models", "List the models, as their docstrings describe them.")
    add_format(parser)
    return parser


def run(args: Namespace) -> None:
    """Print a row per model."""
    from drepm_pyg.models import available_models, get_model

    show([_row(get_model(name)) for name in available_models()], args.format)


def _row(model: type[Any]) -> dict[str, Any]:
    """The ``Reference`` of the docstring: name | year | venue | what it uses | equations."""
    lines = [line.strip() for line in (model.__doc__ or "").splitlines()]
    _, year, venue, uses, *_ = [cell.strip() for cell in lines[lines.index("Reference:") + 1].split("|")]
    return {
        "model": model.__name__,
        "year": year,
        "venue": venue,
        "uses": uses,
        "trained": "yes" if model.trainable else "no",
        "similarity graphs": ", ".join(model.graph_nodes) or "-",
        "about": lines[0],
    }
