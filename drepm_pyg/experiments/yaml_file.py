"""YAML as people write it: ``1e-3`` is a number."""

import re
from pathlib import Path
from typing import Any

import yaml

from drepm_pyg._checks import CorruptFileError

__all__ = ["read_yaml"]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads ``1e-3`` as text; YAML 1.2 and everyone else read a number. A name stands once in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise yaml.MarkedYAMLError(problem=f"the name {twice[0]!r} stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"([-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)|[-+]?(\d+\.\d*|\.\d+)|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
    list("-+0123456789."),
)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        FileNotFoundError: where there is no file.
        CorruptFileError: where it is no YAML, or no mapping, or a name stands twice in one.
    """
    try:
        # A subclass of SafeLoader: it builds plain values only.
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"'{path}' is no YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise CorruptFileError(f"'{path}' must hold a mapping of names to values (got a {type(content).__name__}).")
    return content
