"""``drepm serve``."""

import copy
from collections.abc import Sequence

from jsonargparse import Namespace

from drepm_pyg._checks import require
from drepm_pyg.cli.arguments import Parser
from drepm_pyg.cli.recommend import open_recommender

__all__ = ["parser", "run"]


def parser(argv: Sequence[str]) -> Parser:
    """The options of ``drepm serve``."""
    parser = Parser("serve", "Answer over HTTP what 'drepm recommend' answers; the paths are listed under /docs.")
    parser.add_argument(
        "run", type=str, help="the folder of a finished run, or one that 'drepm recommend --save' wrote"
    )
    parser.add_argument("--host", type=str, default="127.0.0.1", help="0.0.0.0 lets other machines ask, too")
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free")
    parser.add_argument(
        "--data", type=str | None, default=None, help="where its data are now; default: where they were"
    )
    return parser


def run(args: Namespace) -> None:
    """Serve until Ctrl-C."""
    uvicorn = require("uvicorn", extra="serve", purpose="drepm serve")
    from drepm_pyg.recommend.service import service

    app = service(open_recommender(args.run, args.data))
    logs = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    logs["handlers"]["access"]["stream"] = "ext://sys.stderr"
    uvicorn.run(app, host=args.host, port=args.port, log_config=logs)
