"""jsonargparse's errors, and those of the library, in the words of somebody who types."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches

__all__ = ["did_you_mean", "naming", "no_mapping", "readable"]

_NOISE = ("Does not validate against any", "Subtypes:", "Errors:", "Given value", "- Expected a <class 'NoneType'>")

#: What a value must be, in the words of somebody who types it.
_FORMS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text (a number in quotes)",
    "list": "a list such as '[one, other]'",
    "Sequence": "a list such as '[one, other]'",
    "dict": "a mapping such as '{name: value}'",
    "Mapping": "a mapping such as '{name: value}'",
}


def readable(message: str) -> str:
    """An error of a parser in one paragraph, with the option as it is typed."""
    of_model = r"Problem with given class_path '[\w.]*?(\w+)':\s*(.*?\(known: [^)]*\))"
    inner = re.search(of_model, message, re.DOTALL)
    key = re.search(r'Parser key "([^"]+)":', message)
    if inner is not None and key is not None:
        return _of_model(key[1], inner[1], inner[2])
    group = re.match(r"Parser key \"([\w.]+)\":\s*Unable to load config '(.*?)'\s", message, re.DOTALL)
    if group is not None:  # of a group's value jsonargparse knows only that it is the name of no file
        return no_mapping(f"--{group[1]}", group[2])
    lines = [line.strip() for line in message.splitlines()]
    plain = " ".join(line.removeprefix("- ") for line in lines if line and not line.startswith(_NOISE))
    return _wrong_form(message) or re.sub(r"^argument (--[\w.]+): ", r"'\1' ", plain)


def no_mapping(option: str, value: object) -> str:
    """The error of an option that takes a mapping, where anything else is given."""
    return f"'{option}' must be {_FORMS['dict']} (got '{value}')."


def did_you_mean(typed: str, known: list[str]) -> str:
    """The end of an error, where a known name is close to what was typed."""
    close = [name for name in known if name.lower() == typed.lower()] or get_close_matches(typed, known)
    return f" Did you mean {close[0]}?" if close else ""


@contextmanager
def naming(**options: str) -> Iterator[None]:
    """What the library says of its arguments is said of the options: ``naming(k="--k")``."""
    try:
        yield
    except (TypeError, ValueError) as error:
        from drepm_pyg._checks import retold  # it loads torch, which the library has loaded by now

        told = re.sub(r"'(\w+)'", lambda name: f"'{options.get(name[1], name[1])}'", str(error))
        raise retold(error, told) from error


def _of_model(option: str, model: str, message: str) -> str:
    """An error of the parser of a model's arguments."""
    message, _, known = message.removesuffix(")").rpartition(" (known: ")
    unknown = re.match(r"Option '([^']+)' is not accepted", message)
    if unknown is None:
        return _wrong_form(message, prefix=f"{option}.") or f"'--{option}': {message}"
    if model == "RecommenderModel":  # what all models are, as long as none is named
        return f"'--{option}' must stand before '--{option}.{unknown[1]}'."
    return (
        f"'--{option}.{unknown[1]}' is no argument of {model}, which takes {known or 'none'}."
        f"{did_you_mean(unknown[1], known.split(', '))} 'drepm fit --{option}.help {model}' describes them."
    )


def _wrong_form(message: str, prefix: str = "") -> str | None:
    """A value that is no number, list or mapping where one is asked for; None for every other error."""
    key, value = re.search(r'Parser key "([^"]+)":', message), re.search(r"(?:Given|Got) value: (.*)", message)
    if key is None or value is None:
        return None
    option = prefix + key[1]
    choice = re.search(r"Expected an? typing.Literal\[(.*?)\]", message)
    if choice is not None:
        return f"'--{option}' must be one of {choice[1]} (got '{value[1]}')."
    # What was given is named last; what stands before it lies within.
    verb = "hold" if "Got value:" in message and "Given value:" in message else "be"
    forms = [name for name in re.findall(r"Expected an? <class '[\w.]*?(\w+)'>", message) if name != "NoneType"]
    if not forms or not set(forms) <= set(_FORMS):
        return None
    return f"'--{option}' must {verb} {' or '.join(_FORMS[name] for name in forms)} (got '{value[1]}')."
