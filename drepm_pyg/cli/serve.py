"""``drepm serve``."""

import copy
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from jsonargparse import Namespace

from drepm_pyg._checks import require
from drepm_pyg.cli.arguments import Parser, add_source
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
    add_source(parser)
    return parser


def run(args: Namespace) -> None:
    """Serve until Ctrl-C.

    Raises:
        OSError: where the server did not start.
    """
    uvicorn = require("uvicorn", extra="serve", purpose="drepm serve")
    from drepm_pyg.recommend.service import service

    logs = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    logs["handlers"]["access"]["stream"] = "ext://sys.stderr"
    with _listen(args.host, args.port) as listening:  # before the run is loaded, which can take long
        app = service(open_recommender(args.run, args.data))
        server = uvicorn.Server(uvicorn.Config(app, host=args.host, port=args.port, log_config=logs))
        host, port = (f"[{args.host}]" if ":" in args.host else args.host), listening.getsockname()[1]
        print(f"Answering at http://{host}:{port} until Ctrl-C", file=sys.stderr)  # uvicorn leaves it to who listens
        with suppress(KeyboardInterrupt):
            with suppress(SystemExit):  # uvicorn says why it cannot start, and exits or returns, by its version
                server.run(sockets=[listening])
            if not server.started:
                raise OSError("The server did not start. The lines above say why.")


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ValueError(f"'--port' must lie in [0, 65535] (got {port}).")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ValueError(
            f"'--host' and '--port' must be an address of this machine that is free ({error.strerror})."
        ) from error
