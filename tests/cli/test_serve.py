"""``drepm serve``: what is wrong with its options is said before anything is loaded."""

import socket
from typing import Any

import pytest

from drepm_pyg.cli import main, serve
from drepm_pyg.recommend import service as recommend_service
from tests.cli.test_recommend import saved  # noqa: F401

uvicorn = pytest.importorskip("uvicorn")


@pytest.mark.errors
@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--port", "99999"], "'--port' must lie in [0, 65535] (got 99999)."),
        (["--port", "-1"], "'--port' must lie in [0, 65535] (got -1)."),
        (["--host", "nosuch.host.zz"], "'--host' and '--port' must be an address of this machine that is free ("),
    ],
)
def test_an_address_that_cannot_be_is_told_before_a_run_is_loaded(
    options: list[str], text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "open_recommender", lambda *_: pytest.fail("the run was loaded"))
    assert main(["serve", "runs/one", *options]) == 1
    assert f"drepm serve: error: {text}" in capsys.readouterr().err


@pytest.mark.errors
def test_a_port_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", "runs/one", "--port", str(port)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(
        "drepm serve: error: '--host' and '--port' must be an address of this machine that is free ("
    )
    assert str(port) in told


@pytest.mark.errors
def test_a_saved_recommender_needs_no_data(saved: str, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    assert main(["serve", saved, "--port", "0", "--data", "nosuch"]) == 1
    assert "'--data' is for a run; a saved recommender needs no data (got 'nosuch'" in capsys.readouterr().err


def test_the_server_gets_the_address_that_was_tried(
    saved: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    addresses: list[tuple[str, int]] = []

    def run(server: Any, sockets: list[socket.socket]) -> None:
        addresses.append(sockets[0].getsockname())
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "run", run)
    assert main(["serve", saved, "--port", "0"]) == 0
    ((host, port),) = addresses
    assert host == "127.0.0.1"
    assert f"Answering at http://127.0.0.1:{port} until Ctrl-C" in capsys.readouterr().err


@pytest.mark.errors
def test_a_server_that_does_not_start_is_an_error(
    saved: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "out of order"})

    monkeypatch.setattr(recommend_service, "service", lambda _: refuses)
    assert main(["serve", saved, "--port", "0"]) == 1
    told = capsys.readouterr().err
    assert "out of order" in told
    assert told.splitlines()[-1] == "drepm serve: error: The server did not start. The lines above say why."


@pytest.mark.errors
def test_a_server_that_returns_without_a_start_is_an_error(
    saved: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As uvicorn does from version to version."""
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: None)
    assert main(["serve", saved, "--port", "0"]) == 1
    assert "drepm serve: error: The server did not start." in capsys.readouterr().err


def test_a_server_that_was_stopped_is_none(saved: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: setattr(server, "started", True))
    assert main(["serve", saved, "--port", "0"]) == 0


def test_ctrl_c_before_there_is_a_server_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serve, "open_recommender", stop)
    assert main(["serve", "runs/one", "--port", "0"]) == 130
    assert capsys.readouterr().err == "drepm serve: stopped.\n"
