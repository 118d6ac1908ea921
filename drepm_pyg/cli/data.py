"""``drepm data``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse import Namespace

from drepm_pyg.cli.arguments import Parser, add_format
from drepm_pyg.cli.output import show

__all__ = ["parser", "run"]

_ACTIONS = {
    "convert": "turn RecBole's atomic files into the field's format: filter, number, split",
    "split": "deal the interactions of a data set anew, or for the first time",
    "validate": "list every fault and warning of a data set",
    "info": "describe a data set",
    "download": "fetch MovieLens-100k and write it in the field's format",
}


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm data``; those of an action are made where it is called."""
    parser = Parser("data", "Data sets in the field's format: <name>.inter beside <modality>_feat.npy.")
    commands = parser.add_subcommands(dest="action", metavar="ACTION")
    for name, text in _ACTIONS.items():
        action = Parser(f"data {name}", text[0].upper() + text[1:] + ".")
        if name == "convert":
            action.add_argument(
                "source", type=str, help="a directory, zip or wheel with RecBole's files, or the .inter file"
            )
            action.add_argument("output", type=str, help="the directory to write")
            if "convert" in argv:
                _add_reader(action)
        elif name == "split":
            action.add_argument("source", type=str, help="a directory in the field's format, or its .inter file")
            action.add_argument("output", type=str, help="the directory to write")
            action.add_argument(
                "--split", type=Literal["random", "leave_one_out", "temporal"], default="random", help="how"
            )
            action.add_argument("--seed", type=int, default=0, help="of a random split")
        elif name == "download":
            action.add_argument("output", type=str, help="the directory to write")
            action.add_argument("--source", type=str | None, default=None, help="files that are here already, instead")
            action.add_argument("--cache", type=str, default="runs/.cache", help="where the raw files are kept")
        else:
            action.add_argument("data", type=str, help="a directory, its .inter file, 'movielens' or 'synthetic'")
        add_format(action)
        commands.add_subcommand(name, action, help=text)
        action.prog = f"drepm data {name}"  # jsonargparse would name the options of 'drepm data', too
    return parser


def _add_reader(parser: Parser) -> None:
    from drepm_pyg.data import read_recbole

    parser.add_function_arguments(read_recbole, skip={"path"})


def run(args: Namespace) -> int:
    """Do what was asked for, and print a record."""
    options = args[args.action]
    options.pop("config", None)
    actions = {"convert": _convert, "split": _split, "validate": _validate, "info": _info, "download": _download}
    return actions[args.action](options)


def _convert(args: Namespace) -> int:
    from drepm_pyg.data import read_recbole, write_mmrec

    options = args.as_dict()
    source, output, form = (options.pop(name) for name in ("source", "output", "format"))
    _check_elsewhere(source, output)
    data = read_recbole(source, **options)
    write_mmrec(data, output)
    _describe({"output": output}, data, form)
    return 0


def _split(args: Namespace) -> int:
    from drepm_pyg.data import read_mmrec, write_mmrec

    _check_elsewhere(args.source, args.output)
    write_mmrec(data := read_mmrec(args.source, split=args.split, seed=args.seed), args.output)
    _describe({"output": args.output}, data, args.format)
    return 0


def _check_elsewhere(source: str, output: str) -> None:
    folder, target = Path(source).parent if source.endswith(".inter") else Path(source), Path(output).resolve()
    # RecBole's files may lie in a folder below: the output tells in which, without a walk through all of them.
    below = target.is_relative_to(folder.resolve()) and any(target.glob("*.inter"))
    if below or any(file.resolve().parent == target for file in folder.glob("*.inter")):
        raise ValueError(
            f"'output' must be another directory than the source's (got '{output}' for '{source}'), whose interactions "
            "would be overwritten."
        )


def _download(args: Namespace) -> int:
    from drepm_pyg.data import MultimodalMovieLens, write_mmrec

    data = MultimodalMovieLens(Path(args.cache) / "movielens", source=args.source)[0]
    write_mmrec(data, args.output)
    _describe({"output": args.output}, data, args.format)
    return 0


def _info(args: Namespace) -> int:
    from drepm_pyg.experiments import load_data

    _describe({"data": args.data}, load_data(args.data), args.format)
    return 0


def _validate(args: Namespace) -> int:
    from drepm_pyg.data.validate import find_faults, find_warnings
    from drepm_pyg.experiments.sources import read_data

    data = read_data(args.data)
    if faults := find_faults(data):
        show([{"level": "fault", "message": fault} for fault in faults], args.format)
        raise ValueError(f"'{args.data}' has faults: they are listed above ({len(faults)}).")
    found = [{"level": "warning", "message": warning} for warning in [*find_warnings(data), *_missed_pairs(data)]]
    if args.format == "table" and not found:
        print(f"'{args.data}' has no fault, and nothing to warn of.")
    else:
        show(found, args.format)
    return 0


def _missed_pairs(data: Any) -> Iterator[str]:
    """Data without held-out pairs are data, too, but not for every command."""
    from drepm_pyg.data.schema import pair_counts

    counts = pair_counts(data)
    for split, pairs, command in (("val", "validation", "drepm fit"), ("test", "test", "drepm evaluate")):
        if not counts.get(split):
            yield f"There are no {pairs} pairs, which '{command}' needs. Deal them with 'drepm data split'."


def _describe(place: dict[str, str], data: Any, form: str) -> None:
    """Print what the data in a place are: a table in words, anything else in numbers."""
    from drepm_pyg.data import modalities, modality_mask
    from drepm_pyg.data.schema import SPLIT_INDEX, pair_counts

    counts = {**dict.fromkeys(SPLIT_INDEX, 0), **pair_counts(data)}
    num_users, num_items, total = data["user"].num_nodes, data["item"].num_nodes, sum(counts.values())
    density, in_words = total / num_users / num_items, form == "table"
    description = {**place, "users": num_users, "items": num_items, "interactions": total, **counts}
    description |= {"density": f"{density:.4%}" if in_words else density, "titles": "title" in data["item"]}
    for name in modalities(data):
        mask, width = modality_mask(data, name), data["item"][name].size(1)
        without = 0 if mask is None else int((~mask).sum())
        description[name] = (
            f"{width} wide, {without} items without it" if in_words else {"width": width, "items_without": without}
        )
    show(description, form)
