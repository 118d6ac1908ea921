"""``drepm fit``."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Names, Parser, add_format, add_graphs, check_graphs, check_models, given, names
from drepm_pyg.cli.output import show

__all__ = ["parser", "run"]


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm fit``: the model's, the graphs', those of ``fit``, and those of Lightning's trainer."""
    import lightning

    from drepm_pyg.experiments.bma_options import BMAOptions
    from drepm_pyg.experiments.experiment import DERIVED
    from drepm_pyg.models import RecommenderModel
    from drepm_pyg.training import fit
    from drepm_pyg.training.trainer_options import OWN

    parser = Parser("fit", "Train a model; 'drepm fit --model.help LightGCN' lists the arguments of a model.")
    text = "the model by its name ('drepm models' lists them); its arguments follow as --model.NAME"
    parser.add_subclass_arguments(
        RecommenderModel, "model", skip=set(DERIVED), required=True, instantiate=False, help=text
    )
    check_models(parser, argv, "--model")
    parser.add_argument("--data", type=str, required=True, help="a data set's path, 'movielens' or 'synthetic'")
    parser.add_argument("--modalities", type=Names, default=None, help="such as text,audio; null: all of the data")
    add_graphs(parser, argv)
    parser.add_class_arguments(BMAOptions, "bma")
    parser.add_function_arguments(fit, skip={"model", "data", "init_args", "config", "trainer"})
    parser.add_class_arguments(lightning.Trainer, "trainer", skip={"callbacks", *OWN}, instantiate=False)
    add_format(parser)
    return parser


def run(args: Namespace) -> None:
    """Train, and print the metrics of the best epoch."""
    from drepm_pyg.experiments import Experiment

    experiment = Experiment.from_config(config_of(args))
    # Lightning writes its progress bar to stdout, which belongs to the result.
    with redirect_stdout(sys.stderr):
        result = experiment.run()
    show(
        {
            "run": str(result.path),
            "best_epoch": result.epoch,
            "epochs": result.epochs,
            "seconds": result.seconds,
            "seconds_per_epoch": result.seconds_per_epoch,
            **result.metrics,
        },
        args.format,
    )


def config_of(args: Namespace) -> dict[str, Any]:
    """The arguments as the flat form of a run."""
    from drepm_pyg.experiments.experiment import model_class

    defaults = parser([]).get_defaults()
    trainer = given(args.trainer, defaults.trainer)
    check_graphs(args.graphs.as_dict(), [model_class(args.model.class_path)])
    _check_bma(given(args.bma, defaults.bma))
    config: dict[str, Any] = {name: value for name, value in args.as_dict().items() if name not in ("config", "format")}
    config = {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
    config |= {"root": str(config["root"]), "modalities": names(config["modalities"])}
    return {**config, "trainer": trainer} if trainer else {k: v for k, v in config.items() if k != "trainer"}


def _check_bma(asked: Mapping[str, Any]) -> None:
    """No option of the alignment where it is left out."""
    from drepm_pyg.experiments.bma_options import BMAOptions

    if asked and not BMAOptions(**asked).used:
        raise ValueError(
            f"'--bma.{next(iter(asked))}' is read only beside '--bma.alpha', '--bma.beta' or '--bma.gamma' above 0. "
            "Leave it out, or give one of them."
        )
