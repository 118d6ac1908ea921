"""``drepm serve``: what is wrong with its options is said before anything is loaded."""

import socket
from typing import Any

import pytest

from drepm_pyg.cli import main, serve
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


def test_ctrl_c_before_there_is_a_server_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serve, "open_recommender", stop)
    assert main(["serve", "runs/one", "--port", "0"]) == 130
    assert capsys.readouterr().err == "drepm serve: stopped.\n"
