"""Finished runs without their weights."""

from pathlib import Path

import pytest

from drepm_pyg.experiments import Experiment
from drepm_pyg.experiments.reproduction.kept import keep
from drepm_pyg.experiments.reproduction.places import Place
from drepm_pyg.experiments.yaml_file import read_yaml


def test_a_call_that_stops_while_it_writes_leaves_nothing_that_looks_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = Experiment.from_config({"model": "BPR", "data": "some/where/shop", "lr": 0.5})
    place, kept = Place(experiment, tmp_path / "bpr-0", frozenset()), tmp_path / "kept"
    place.folder.mkdir()
    for name in ("users.npz", "result.json"):
        (place.folder / name).write_text(name)
    write = Path.write_text

    def stop(path: Path, text: str, **options: str) -> None:
        write(path, text[: len(text) // 2], **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(Path, "write_text", stop)
        with pytest.raises(KeyboardInterrupt):
            keep(place, kept)
    assert list((kept / "bpr-0").iterdir()) == []
    keep(place, kept)
    assert sorted(file.name for file in (kept / "bpr-0").iterdir()) == ["config.yaml", "result.json", "users.npz"]
    config = read_yaml(kept / "bpr-0" / "config.yaml")
    assert (config["data"], config["lr"]) == ("shop", 0.5)
