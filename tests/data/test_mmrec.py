"""The field's format: what is written is read, and a damaged file says so."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.data import (
    USER_ITEM,
    build_data,
    leave_one_out_split,
    modalities,
    read_mmrec,
    validate,
    write_mmrec,
)

MAPS = Path("/proc/self/maps")  # Linux lists there what is mapped
INTER = "userID\titemID\tx_label\n0\t0\t0\n1\t2\t1\n0\t1\t2\n1\t1\t0\n2\t0\t0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "baby"
    folder.mkdir()
    (folder / "baby.inter").write_text(INTER)
    np.save(folder / "text_feat.npy", np.arange(6, dtype=np.float32).reshape(3, 2) + 1)
    np.save(folder / "image_feat.npy", np.arange(12, dtype=np.float16).reshape(3, 4) + 1)
    return folder


def stored(data: HeteroData) -> dict[tuple[object, str], object]:
    return {
        (kind, name): value.tolist() if isinstance(value, torch.Tensor) else value
        for kind, store in (*data.node_items(), *data.edge_items())
        for name, value in store.items()
    }


def test_labels_become_splits(folder: Path) -> None:
    data = read_mmrec(folder)
    assert data[USER_ITEM].edge_index.tolist() == [[0, 1, 2], [0, 1, 0]]
    assert data[USER_ITEM].val_edge_label_index.tolist() == [[1], [2]]
    assert data[USER_ITEM].test_edge_label_index.tolist() == [[0], [1]]
    assert (data["user"].num_nodes, data["item"].num_nodes) == (3, 3)
    assert validate(data) == []


def test_the_inter_file_itself_is_a_path_too(folder: Path) -> None:
    assert stored(read_mmrec(folder / "baby.inter")) == stored(read_mmrec(str(folder)))


def test_columns_stand_in_any_order_and_values_are_kept(folder: Path) -> None:
    (folder / "baby.inter").write_text(
        "timestamp\tx_label\titemID\trating\tuserID\n7\t0\t0\t4.5\t0\n9\t1\t2\t1.0\t0\n8\t0\t1\t2.0\t1\n"
    )
    store = read_mmrec(folder)[USER_ITEM]
    assert store.edge_index.tolist() == [[0, 1], [0, 1]]
    assert store.rating.tolist() == [4.5, 2.0]
    assert store.time.tolist() == [7, 8]
    assert (store.val_rating.tolist(), store.val_time.tolist()) == ([1.0], [9])


def test_pairs_without_labels_are_split(folder: Path) -> None:
    # 6 items; pair (0, 0) comes twice: its later row counts, whatever the order of the rows.
    rows = [f"0\t{item}\t{10 - item}" for item in range(6)] + ["0\t0\t1", "1\t0\t3", "1\t1\t2"]
    for file in ("text_feat.npy", "image_feat.npy"):
        (folder / file).unlink()
    (folder / "baby.inter").write_text("\n".join(["userID\titemID\ttimestamp", *rows]) + "\n")
    data = read_mmrec(folder, split="leave_one_out")
    store = data[USER_ITEM]
    assert store.edge_index.tolist() == [[0, 0, 0, 0, 1, 1], [2, 3, 4, 5, 0, 1]]
    assert store.val_edge_label_index.tolist() == [[0], [1]]
    assert store.test_edge_label_index.tolist() == [[0], [0]]
    assert (store.val_time.tolist(), store.test_time.tolist()) == ([9], [10])
    assert stored(read_mmrec(folder, split=leave_one_out_split)) == stored(data)
    by_chance = [stored(read_mmrec(folder, split="random", seed=seed)) for seed in (1, 1, 2)]
    assert by_chance[0] == by_chance[1] != by_chance[2]
    with pytest.raises(ValueError, match=r"'split' must be one of .* \(got 'chance'\)"):
        read_mmrec(folder, split="chance")


def test_a_cut_in_time_drops_unknown_users_unless_wanted(folder: Path) -> None:
    # Ten pairs at the moments 0 to 9: the last is for test, and user 1 has no other.
    rows = [f"{int(time == 9)}\t{time}\t{time}" for time in range(10)]
    for file in ("text_feat.npy", "image_feat.npy"):
        (folder / file).unlink()
    (folder / "baby.inter").write_text("\n".join(["userID\titemID\ttimestamp", *rows]) + "\n")
    assert read_mmrec(folder, split="temporal")[USER_ITEM].test_edge_label_index.tolist() == [[], []]
    kept = read_mmrec(folder, split="temporal", drop_unknown=False)
    assert kept[USER_ITEM].test_edge_label_index.tolist() == [[1], [9]]


def test_a_new_split_takes_the_place_of_the_labels(folder: Path) -> None:
    undealt = []

    def split(data: HeteroData) -> HeteroData:
        undealt.append(data[USER_ITEM].edge_index.tolist())
        return leave_one_out_split(data, order="random")

    dealt = read_mmrec(folder, split=split)
    assert undealt == [[[0, 1, 0, 1, 2], [0, 2, 1, 1, 0]]]
    assert dealt[USER_ITEM].edge_index.size(1) == 5  # histories of 1 or 2 stay in training


def test_every_feature_file_is_a_modality_of_its_own_type(folder: Path) -> None:
    np.save(folder / "audio_vggish_feat.npy", np.ones((3, 5)))
    item = read_mmrec(folder)["item"]
    assert {name: item[name].dtype for name in ("audio_vggish", "image", "text")} == {
        "audio_vggish": torch.float64,
        "image": torch.float16,
        "text": torch.float32,
    }
    assert modalities(read_mmrec(folder, modalities=["text", "audio_vggish"])) == ["audio_vggish", "text"]
    assert modalities(read_mmrec(folder, modalities=[])) == []


def test_hidden_files_are_no_part_of_a_data_set(folder: Path) -> None:
    before = stored(read_mmrec(folder))
    for name in (".image_feat.npy", "._image_feat.npy", "._text_mask.npy", "._baby.inter", ".baby.inter"):
        (folder / name).write_bytes(b"partial")  # of a writer that was killed, or from macOS
    assert stored(read_mmrec(folder)) == before
    write_mmrec(read_mmrec(folder), folder)
    assert stored(read_mmrec(folder)) == before
    (folder / "baby.inter").rename(folder / "another.inter")
    assert stored(read_mmrec(folder)) == before


def test_features_are_memory_mapped_and_no_change_reaches_the_file(folder: Path) -> None:
    text = read_mmrec(folder)["item"].text
    if MAPS.exists():
        assert str(folder / "text_feat.npy") in MAPS.read_text()
    text[0] = -1
    assert read_mmrec(folder)["item"].text[0].tolist() == [1, 2]


def test_held_out_pairs_of_unknown_users_are_dropped_unless_wanted(folder: Path) -> None:
    (folder / "baby.inter").write_text(INTER + "3\t0\t2\n")
    assert read_mmrec(folder)[USER_ITEM].test_edge_label_index.tolist() == [[0], [1]]
    kept = read_mmrec(folder, drop_unknown=False)
    assert kept[USER_ITEM].test_edge_label_index.tolist() == [[0, 3], [1, 0]]
    assert kept["user"].num_nodes == read_mmrec(folder)["user"].num_nodes == 4


def test_feature_rows_beyond_the_last_interaction_are_items_too(folder: Path) -> None:
    for name in ("text", "image"):
        np.save(folder / f"{name}_feat.npy", np.ones((5, 2), dtype=np.float32))
    assert read_mmrec(folder)["item"].num_nodes == 5


@pytest.mark.parametrize("separator", ["\t", ","])
def test_mapping_files_give_original_ids_and_titles(folder: Path, separator: str) -> None:
    rows = [
        ["itemID", "artistID", "name", "tags"],
        ["1", "80", 'The "Who"', "a"],
        ["0", "66", "NA", "b"],
        ["2", "7", "c", ""],
    ]
    text = "\n".join(separator.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows)
    (folder / "i_id_mapping.csv").write_text(text + "\n")
    (folder / "u_id_mapping.csv").write_text("user_id\tuserID\nann\t0\nbob\t1\ncid\t2\n")
    data = read_mmrec(folder)
    assert data["item"].title == ["NA", 'The "Who"', "c"]
    assert data["item"].item_id == ["66", "80", "7"]
    assert data["user"].user_id == ["ann", "bob", "cid"]


def whole() -> HeteroData:
    return build_data(
        4,
        5,
        torch.tensor([[2, 0, 1], [1, 3, 0]]),
        torch.tensor([[2, 1], [0, 1]]),
        torch.tensor([[0], [0]]),
        {"text": torch.randn(5, 3), "image": torch.randn(5, 2).half()},
        {"image": torch.tensor([True, True, False, True, True])},
        user_id=["a", "b\tc", "d", 'e"f'],
        item_id=["1", "2", "3", "NA", ""],
        title=["Ä", "b, c", 'd "e"', "None", ""],
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    data = whole()
    write_mmrec(data, tmp_path / "mine")
    assert (tmp_path / "mine" / "mine.inter").exists()
    assert stored(read_mmrec(tmp_path / "mine")) == stored(data)


def test_a_carriage_return_in_a_title_survives_the_disk(tmp_path: Path) -> None:
    data = whole()
    data["item"].title = ["one\r", "\r", "a\rb", "a\r\nb", 'c\r"']
    write_mmrec(data, tmp_path)
    assert stored(read_mmrec(tmp_path)) == stored(data)


def test_a_hidden_directory_is_as_good_as_any(tmp_path: Path) -> None:
    data = whole()
    write_mmrec(data, tmp_path / ".mine")
    assert stored(read_mmrec(tmp_path / ".mine")) == stored(data)


def test_of_several_columns_of_ids_asin_counts(folder: Path) -> None:
    (folder / "i_id_mapping.csv").write_text("brandID\titemID\tasin\nx\t0\ta\nx\t1\tb\ny\t2\tc\n")
    assert read_mmrec(folder)["item"].item_id == ["a", "b", "c"]


def test_ratings_and_times_survive_the_disk(folder: Path, tmp_path: Path) -> None:
    (folder / "baby.inter").write_text(
        "userID\titemID\trating\ttimestamp\tx_label\n0\t0\t4.1\t881250949\t0\n0\t2\t1\t881250950\t1\n1\t1\t2\t5\t0\n"
    )
    data = read_mmrec(folder)
    write_mmrec(data, tmp_path / "copy")
    assert stored(read_mmrec(tmp_path / "copy")) == stored(data)


def test_users_and_items_without_interactions_survive_the_disk(tmp_path: Path) -> None:
    data = build_data(3, 4, torch.tensor([[0], [0]]))
    write_mmrec(data, tmp_path)
    assert stored(read_mmrec(tmp_path)) == stored(data)


def test_writing_over_the_files_that_are_mapped_is_safe(tmp_path: Path) -> None:
    write_mmrec(whole(), tmp_path)
    data = read_mmrec(tmp_path)
    before = stored(data)
    write_mmrec(data, tmp_path)
    assert stored(data) == before == stored(read_mmrec(tmp_path))


def write(name: str, content: str | np.ndarray):
    def change(folder: Path) -> None:
        if isinstance(content, str):
            (folder / name).write_text(content)
        else:
            np.save(folder / name, content)

    return change


def truncate(folder: Path) -> None:
    content = (folder / "text_feat.npy").read_bytes()
    (folder / "text_feat.npy").write_bytes(content[:-3])


DAMAGE = {
    "feature file too short": (
        write("image_feat.npy", np.ones((2, 4), dtype=np.float32)),
        "'image_feat.npy' has 2 rows, but 'baby.inter' names items up to 2 (needs 3). Was the file truncated?",
    ),
    "feature files disagree": (write("text_feat.npy", np.ones((4, 2))), "The feature files disagree about"),
    "truncated feature file": (truncate, "text_feat.npy' cannot be read as a .npy array"),
    "pickled objects": (
        lambda folder: np.save(folder / "text_feat.npy", np.array([["a"], [None]], dtype=object), allow_pickle=True),
        "text_feat.npy' holds Python objects. Save numbers",
    ),
    "no matrix": (write("text_feat.npy", np.ones(3)), "'text_feat.npy' must hold a float array [items, width]"),
    "integers": (write("text_feat.npy", np.ones((3, 2), dtype=int)), "[items, width] (got int64"),
    "mask too long": (write("text_mask.npy", np.ones(4, dtype=bool)), "'text_mask.npy' has 4 rows for 3 items."),
    "mask of floats": (write("text_mask.npy", np.ones(3)), "'text_mask.npy' must hold a bool array"),
    "empty file": (write("baby.inter", ""), "'baby.inter' is not a tab-separated table with a header"),
    "header alone": (write("baby.inter", "userID\titemID\tx_label\n"), "has a header but no interactions"),
    "no label": (write("baby.inter", "userID\titemID\n0\t0\n"), "'baby.inter' lacks the columns ['x_label']"),
    "no label, how to go on": (write("baby.inter", "userID\titemID\n0\t0\n"), "call 'drepm data split'"),
    "commas": (write("baby.inter", "userID,itemID,x_label\n0,0,0\n"), "Columns are separated by tabs."),
    "RecBole's header": (write("baby.inter", "user_id:token\titem_id:token\na\tb\n"), "use read_recbole"),
    "last line cut": (write("baby.inter", INTER + "2\t1"), "has 1 rows without 'x_label' (first: line 7)"),
    "string ids": (write("baby.inter", INTER + "ann\t1\t0\n"), "'userID' must hold integers (got 'ann' in line 7)."),
    "a fraction": (write("baby.inter", INTER + "1.5\t1\t0\n"), "'userID' must hold integers (got '1.5' in line 7)."),
    "string ids below blank lines": (
        write("baby.inter", INTER + "\n \nann\t1\t0\n"),
        "'userID' must hold integers (got 'ann' in line 9).",
    ),
    "an empty cell below blank lines": (write("baby.inter", INTER + "\n\n2\t1"), "(first: line 9)"),
    "ids beyond every integer": (
        write("baby.inter", INTER + "99999999999999999999999\t1\t0\n"),
        "'userID' must hold integers (got '99999999999999999999999' in line 7).",
    ),
    "fractions alone": (
        write("baby.inter", "userID\titemID\tx_label\n0.0\t1\t0\n"),
        "'userID' must hold integers (got '0.0' in line 2).",
    ),
    "a word as a rating": (
        write("baby.inter", "userID\titemID\tx_label\trating\n0\t1\t0\t5\n0\t2\t0\tgood\n"),
        "'rating' must hold numbers (got 'good' in line 3).",
    ),
    "ids for no table": (
        write("baby.inter", INTER + "99999999999\t1\t0\n"),
        "'userID' must be less than 2,147,483,648 (got 99999999999 in line 7).",
    ),
    "ids beyond int64": (
        write("baby.inter", INTER + "1\t18446744073709551615\t0\n"),
        "'itemID' must be less than 2,147,483,648 (got 18446744073709551615 in line 7).",
    ),
    "negative ids": (write("baby.inter", INTER + "-1\t1\t0\n"), "'userID' must not be negative (got -1)"),
    "another label": (write("baby.inter", INTER + "1\t0\t3\n"), "'x_label' must be 0 (training), 1"),
    "a cell too many": (
        write("baby.inter", "userID\titemID\tx_label\n0\t1\t0\t5\n0\t2\t0\t5\n"),
        "'baby.inter' has rows with more cells than its header",
    ),
    "a cell too many in a mapping": (
        write("u_id_mapping.csv", "userID\tuser_id\n7\t0\tann\n8\t1\tbob\n9\t2\tcid\n"),
        "'u_id_mapping.csv' has rows with more cells than its header",
    ),
    "no training rows": (write("baby.inter", "userID\titemID\tx_label\n0\t0\t2\n"), "has no row with x_label 0"),
    "mapping too short": (write("i_id_mapping.csv", "asin\titemID\na\t0\n"), "lists 1 ids, the other files name 3"),
    "mapping with a gap": (write("i_id_mapping.csv", "asin\titemID\na\t0\nb\t2\nc\t3\n"), "every id from 0 to 2 once"),
    "mapping without ids": (write("i_id_mapping.csv", "asin\tnumber\na\t0\n"), "an integer column 'itemID'"),
}


@pytest.mark.errors
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_named(kind: str, folder: Path) -> None:
    change, message = DAMAGE[kind]
    change(folder)
    with pytest.raises(CorruptFileError) as error:
        read_mmrec(folder)
    assert message in str(error.value)


@pytest.mark.errors
@pytest.mark.parametrize("split", ["temporal", "leave_one_out"])
def test_an_interaction_without_a_time_stamp_has_no_place_in_time(folder: Path, split: str) -> None:
    (folder / "baby.inter").write_text("userID\titemID\ttimestamp\n0\t0\t5\n0\t1\t\n0\t2\t7\n1\t0\t\n")
    with pytest.raises(ValueError, match=r"a finite time stamp for every interaction \(2 of 4 have none\)"):
        read_mmrec(folder, split=split)


@pytest.mark.errors
def test_a_path_without_one_inter_file_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_mmrec(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"exactly one .inter file \(found: none\)"):
        read_mmrec(tmp_path)
    (folder / "baby.inter").rename(folder / "a.inter")
    (folder / "b.inter").write_text(INTER)
    with pytest.raises(FileNotFoundError, match=r"found: a.inter, b.inter"):
        read_mmrec(folder)
    (folder / "baby.inter").write_text(INTER)
    read_mmrec(folder)


@pytest.mark.errors
def test_unknown_modalities_and_unwritable_ones_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'modalities' must be one of 'image', 'text' \\(got 'audio'\\)"):
        read_mmrec(folder, modalities=["audio"])
    data = whole()
    data["item"].text = data["item"].text.bfloat16()
    with pytest.raises(TypeError, match=r"'text_feat.npy' cannot be written as bfloat16"):
        write_mmrec(data, tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    with pytest.raises(FileExistsError, match=r"another data set's files \['baby.inter'"):
        write_mmrec(build_data(1, 1, torch.zeros(2, 1, dtype=torch.long)), folder.rename(tmp_path / "other"))
