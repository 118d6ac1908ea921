"""What the parsers of all commands share."""

from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace

__all__ = ["Parser", "add_format", "given"]

_NOISE = ("Does not validate against any", "Subtypes:", "Errors:", "Given value", "- Expected a <class 'NoneType'>")


class Parser(ArgumentParser):  # type: ignore[misc]  # jsonargparse comes without types
    """A parser with ``--config``, no abbreviations, and errors that one can read.

    Args:
        command: such as 'fit', for the usage line.
        description: one line.
    """

    def __init__(self, command: str = "", description: str = "", **options: Any) -> None:
        options = {"prog": f"drepm {command}", "description": description, **options}
        super().__init__(allow_abbrev=False, **options)
        self.add_argument("--config", action="config", help="a YAML file with any of these options")

    def error(self, message: str, *args: Any) -> NoReturn:
        """Say what is wrong in one line, and end with status 2."""
        lines = [line.strip() for line in str(message).splitlines()]
        told = " ".join(line.removeprefix("- ") for line in lines if line and not line.startswith(_NOISE))
        self.exit(2, f"{self.prog}: error: {told} ('{self.prog} --help' lists the options.)\n")
        raise AssertionError("exit returns never")


def add_format(parser: ArgumentParser) -> None:
    """How results are printed."""
    from typing import Literal

    parser.add_argument(
        "--format", type=Literal["table", "json", "csv"], default="table", help="how results are printed"
    )


def given(args: Namespace, defaults: Namespace) -> dict[str, Any]:
    """The arguments of a group that are not at their defaults."""
    return {name: value for name, value in args.as_dict().items() if value != defaults[name]}
