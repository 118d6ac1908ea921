"""RecBole's atomic files, from a directory, a zip or a wheel."""

import zipfile
from pathlib import Path

import pytest
import torch

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.data import SPLIT_INDEX, USER_ITEM, Interactions, read_atomic_files, read_recbole, validate
from drepm_pyg.data.archive import Archive

FILES = {
    "films.inter": (
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "10\t2\t5\t100\n10\t11\t3\t90\n9\t2\t4\t80\n9\tNA\t1\t70\n10\t2\t2\t120\n9\t11\t4\t60\n"
    ),
    "films.item": (
        "item_id:token\tmovie_title:token_seq\tyear:token\tposter:float_seq\n"
        '11\tThe "Other" One\t1990\t0.5 1.5\n2\tToy Story\t1995\t\n99\tUnseen\t2000\t1 2\n'
    ),
    "films.kg": "head_id:token\trelation_id:token\ttail_id:token\nm.1\tgenre\tm.2\n",
}


def write_folder(folder: Path) -> Path:
    (folder / "deep" / "films").mkdir(parents=True)
    for name, content in FILES.items():
        (folder / "deep" / "films" / name).write_text(content)
    return folder


def write_zip(path: Path, **more: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"package/films/{name}", content)
        for name, content in more.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "films-1.0-py3-none-any.whl")


def pairs(data) -> set[tuple[str, str]]:
    edge_index = Interactions.of(data).edge_index
    return {(data["user"].user_id[user], data["item"].item_id[item]) for user, item in edge_index.T.tolist()}


def test_directory_file_zip_and_wheel_read_alike(tmp_path: Path, wheel: Path) -> None:
    folder = write_folder(tmp_path / "folder")
    sources = [folder, folder / "deep/films/films.inter", write_zip(tmp_path / "films.zip"), wheel]
    found = [read_recbole(source, split=None) for source in sources]
    for data in found[1:]:
        assert torch.equal(data[USER_ITEM].edge_index, found[0][USER_ITEM].edge_index)
        assert data["item"].title == found[0]["item"].title
    assert sorted(path.name for path in tmp_path.iterdir()) == ["films-1.0-py3-none-any.whl", "films.zip", "folder"]


def test_tokens_are_numbered_in_their_order(wheel: Path) -> None:
    data = read_recbole(wheel, split=None)
    assert data["user"].user_id == ["9", "10"]  # as numbers, since all are
    assert data["item"].item_id == ["11", "2", "NA"]  # as text, since one is no number
    assert pairs(data) == {("10", "2"), ("10", "11"), ("9", "2"), ("9", "NA"), ("9", "11")}


def test_a_repeated_pair_counts_once_with_its_latest_row(wheel: Path) -> None:
    data = read_recbole(wheel, split=None)
    user, item = (data[node][f"{node}_id"] for node in ("user", "item"))
    rating = {
        (user[u], item[i]): (float(r), int(t))
        for (u, i), r, t in zip(
            data[USER_ITEM].edge_index.T.tolist(), data[USER_ITEM].rating, data[USER_ITEM].time, strict=True
        )
    }
    assert rating["10", "2"] == (2.0, 120)
    assert data[USER_ITEM].time.dtype == torch.long


def test_threshold_counts_after_repeats_and_unused_nodes_drop_out(wheel: Path) -> None:
    data = read_recbole(wheel, rating_threshold=3, split=None)
    assert pairs(data) == {("10", "11"), ("9", "2"), ("9", "11")}
    assert data["item"].item_id == ["2", "11"]


def test_k_core_follows_the_threshold(wheel: Path) -> None:
    assert pairs(read_recbole(wheel, k_core=2, split=None)) == {(u, i) for u in ("9", "10") for i in ("2", "11")}
    with pytest.raises(ValueError, match="No user and item is left"):
        read_recbole(wheel, rating_threshold=3, k_core=2)


def test_titles_and_vectors_of_the_item_file_come_along(wheel: Path) -> None:
    data = read_recbole(wheel, split=None)
    assert data["item"].title == ['The "Other" One', "Toy Story", ""]
    assert data["item"].poster.tolist() == [[0.5, 1.5], [0, 0], [0, 0]]
    assert data["item"].poster_mask.tolist() == [True, False, False]
    assert validate(data) == []


def test_numbers_are_no_titles_whatever_their_column_is_called(tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\n1\tx\n1\ty\n")
    columns = ["item_id:token", "rank_name:float", "emb_title:float_seq", "book_title:token_seq"]
    rows = ["\t".join(columns), "x\t1\t0.5 1\tEmma", "y\t2\t\tTwo Years"]
    (tmp_path / "a.item").write_text("\n".join(rows) + "\n")
    data = read_recbole(tmp_path, split=None)
    assert data["item"].title == ["Emma", "Two Years"]
    assert data["item"].emb_title.tolist() == [[0.5, 1.0], [0.0, 0.0]]


def test_the_split_is_named_or_any_function(tmp_path: Path) -> None:
    lines = [f"{user}\t{item}\t{item}\n" for user in range(5) for item in range(10)]
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n" + "".join(lines))

    def sizes(split) -> list[int]:
        store = read_recbole(tmp_path, split=split)[USER_ITEM]
        return [store[index].size(1) for index in SPLIT_INDEX.values()]

    assert sizes("random") == [40, 5, 5]
    assert sizes("leave_one_out") == [40, 5, 5]
    assert sizes("temporal") == [40, 5, 5]
    assert sizes(None) == sizes(lambda data: data) == [50, 0, 0]
    assert read_recbole(tmp_path, split="temporal")[USER_ITEM].test_time.tolist() == [9] * 5


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text("who:token\twhat:token\tweight:float\n1\tx\t0.5\n2\ty\t2\n")
    names = {"user_field": "who", "item_field": "what", "rating_field": "weight"}
    assert pairs(read_recbole(tmp_path, rating_threshold=1, split=None, **names)) == {("2", "y")}
    with pytest.raises(CorruptFileError, match=r"lacks the columns \['user_id', 'item_id'\]"):
        read_recbole(tmp_path)


@pytest.mark.errors
@pytest.mark.parametrize("field", ["rating_field", "time_field"])
def test_a_column_that_is_named_must_be_there(field: str, tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\n1\tx\n")
    text = rf"lacks the columns \['weigth'\] \(it has \['user_id', 'item_id'\]\)\. .*'{field}'"
    with pytest.raises(CorruptFileError, match=text):
        read_recbole(tmp_path, split=None, **{field: "weigth"})
    assert pairs(read_recbole(tmp_path, split=None, **{field: ""})) == {("1", "x")}


def test_a_file_is_looked_up_beside_its_siblings_alone(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "old"):
        folder.mkdir(exist_ok=True)
        (folder / "a.inter").write_text(f"user_id:token\titem_id:token\n1\t{folder.name}\n")
    (tmp_path / "a.item").write_text(f"item_id:token\ttitle:token\n{tmp_path.name}\tHere\n")
    data = read_recbole(tmp_path / "a.inter", split=None)
    assert data["item"].item_id == [tmp_path.name]
    assert data["item"].title == ["Here"]
    with pytest.raises(FileNotFoundError, match=r"\.inter files: \['a', 'a'\]"):
        read_recbole(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"one data set named 'b' .*\.inter files: \['a'\]"):
        read_recbole(tmp_path / "b.inter")


def test_hidden_files_are_no_data_sets(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "mac.zip", **{"__MACOSX/films/._films.inter": "attributes"})
    assert pairs(read_recbole(path, split=None)) == pairs(read_recbole(write_zip(tmp_path / "films.zip"), split=None))


def test_tables_are_typed_by_their_header(wheel: Path) -> None:
    tables = read_atomic_files(wheel)
    assert sorted(tables) == ["inter", "item", "kg"]
    assert tables["inter"]["item_id"].tolist() == ["2", "11", "2", "NA", "2", "11"]
    assert tables["inter"]["rating"].dtype == float
    assert tables["item"]["movie_title"].tolist()[0] == ["The", '"Other"', "One"]
    assert tables["item"]["poster"].tolist() == [[0.5, 1.5], [], [1.0, 2.0]]


def test_numbers_are_read_to_the_last_bit_and_an_empty_cell_is_none(tmp_path: Path) -> None:
    written = ["0.1", "1e300", "-2.5000000000000004", "9007199254740993", " 3", ".5", "inf", ""]
    rows = "".join(f"1\t{item}\t{number}\n" for item, number in enumerate(written))
    (tmp_path / "a.inter").write_text(f"user_id:token\titem_id:token\tvalue:float\n{rows}")
    value = read_atomic_files(tmp_path)["inter"]["value"]
    assert value.dtype == float
    assert value.tolist()[:-1] == [float(number) for number in written[:-1]]
    assert value.isna().tolist() == [False] * 7 + [True]


def test_times_that_are_kept_as_tokens_order_the_rows_of_a_pair(tmp_path: Path) -> None:
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:token\n"
    (tmp_path / "a.inter").write_text(header + "1\tx\t4\t2001\n1\tx\t5\t1999\n")
    assert read_recbole(tmp_path, split=None)[USER_ITEM].rating.tolist() == [4]


def test_one_of_several_data_sets_is_chosen_by_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "two.zip", **{"books/books.inter": "user_id:token\titem_id:token\n1\t2\n"})
    with pytest.raises(FileNotFoundError, match=r"\.inter files: \['books', 'films'\]"):
        read_recbole(path)
    assert pairs(read_recbole(path, name="books")) == {("1", "2")}


@pytest.mark.errors
@pytest.mark.parametrize("name", ["../evil.inter", "/evil.inter", "a/../../evil", "C:\\evil", "..\\evil"])
def test_a_zip_whose_members_point_outside_is_refused(name: str, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "evil.zip", **{name: "x"})
    with pytest.raises(CorruptFileError, match="members that point outside"):
        read_recbole(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["evil.zip"]


@pytest.mark.errors
def test_sources_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Archive(tmp_path / "nowhere").names()
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(CorruptFileError, match="no intact zip file"):
        read_recbole(tmp_path / "text.zip")
    with pytest.raises(FileNotFoundError, match=r"\.inter files: \[\]"):
        read_recbole(tmp_path)


@pytest.mark.errors
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_zip_with_damaged_members_is_named(compression: int, tmp_path: Path) -> None:
    path = tmp_path / "films.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("films.inter", FILES["films.inter"] + "9\t11\t4\t60\n" * 100)
    content = bytearray(path.read_bytes())
    content[100] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=r"'films\.inter' in 'films\.zip' cannot be unpacked"):
        read_recbole(path)


BROKEN = {
    "user_id\titem_id\n1\t2\n": "must have a header of names with types",
    "user_id:token\titem_id:text\n1\t2\n": "must have a header of names with types",
    "": "must have a header of names with types",
    "user_id:token\titem_id:token\trating:float\n1\t2\t4\n1\t3\tgood\n": (
        r"cannot be read as a table \(Unable to parse string 'good' at position 1\)"
    ),
    "user_id:token\titem_id:token\trating:float\n1\t2\t1_0\n": r"cannot be read as a table \(Unable .* '1_0' at pos",
    "user_id:token\titem_id:token\n1\t2\t3\t4\n": "has rows with more cells than its header",
    "user_id:token\titem_id:token\n1\t2\n3\t4\t5\n": r"cannot be read .* Expected 2 fields in line 3, saw 3",
    "user_id:token\titem_id:token\n": "has a header, but no rows",
    "user_id:token\titem_id:token": "has a header, but no rows",
    "user_id:token\trating:token\titem_id:token\trating:float\n1\t4\t2\t4\n": (
        r"must have a header that names each column once \(got \['rating'\] more than once\)"
    ),
}


@pytest.mark.errors
@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_table_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text(content)
    with pytest.raises(CorruptFileError, match=rf"'a.inter' {BROKEN[content]}"):
        read_recbole(tmp_path)


@pytest.mark.errors
def test_a_broken_table_beside_the_interactions_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\n1\t2\n")
    (tmp_path / "a.item").write_text("item_id:token\ttitle:token_seq\n")
    with pytest.raises(CorruptFileError, match=r"'a.item' has a header, but no rows\. Was the file truncated\?"):
        read_recbole(tmp_path)


def test_numbers_may_be_kept_as_tokens(tmp_path: Path) -> None:
    header = "user_id:token\titem_id:token\trating:token\ttimestamp:token\n"
    (tmp_path / "a.inter").write_text(f"{header}1\tx\t4\t10\n1\tx\t3\t9\n1\ty\t2\t1\n")
    store = read_recbole(tmp_path, rating_threshold=3, split=None)[USER_ITEM]
    assert (store.rating.tolist(), store.time.tolist()) == ([4], [10])  # the latest as a number, not as a text


def test_a_time_stamp_that_no_integer_holds_stays_a_float(tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n1\tx\t1e300\n1\ty\t2\n")
    assert read_recbole(tmp_path, split=None)[USER_ITEM].time.tolist() == [1e300, 2]


@pytest.mark.errors
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user_id:token_seq\titem_id:token\na b\tx\n", "'user_field' must name a column of tokens .got 'user_id'"),
        ("user_id:token\titem_id:float\na\t1\n", "'item_field' must name a column of tokens .got 'item_id'"),
        ("user_id:token\titem_id:token\trating:token\na\tx\tgood\n", "The column 'rating' .* must hold numbers"),
        ("user_id:token\titem_id:token\trating:float_seq\na\tx\t1 2\n", "The column 'rating' .* must hold numbers"),
        ("user_id:token\titem_id:token\ttimestamp:token\na\tx\tMay\n", "The column 'timestamp' .* must hold numb"),
    ],
)
def test_a_column_of_another_type_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text(content)
    with pytest.raises(CorruptFileError, match=message):
        read_recbole(tmp_path)


@pytest.mark.errors
def test_items_that_are_numbers_in_their_own_file_are_not_lost(tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\n1\t2\n")
    (tmp_path / "a.item").write_text("item_id:float\ttitle:token_seq\n2\tToy Story\n")
    with pytest.raises(CorruptFileError, match=r"'item_field' must name a column of tokens .* of the \.item file"):
        read_recbole(tmp_path)


@pytest.mark.errors
def test_a_row_cut_short_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\n1\t2\n3")
    with pytest.raises(CorruptFileError, match=r"has 1 rows without a user or an item \(first: line 3\)"):
        read_recbole(tmp_path)


@pytest.mark.errors
def test_filters_that_cannot_work_are_refused(tmp_path: Path, wheel: Path) -> None:
    with pytest.raises(ValueError, match="No interaction is left"):
        read_recbole(wheel, rating_threshold=9)
    with pytest.raises(TypeError, match="'rating_threshold' must be a number"):
        read_recbole(wheel, rating_threshold="4")
    with pytest.raises(TypeError, match=r"'split' must return HeteroData \(got a NoneType\)"):
        read_recbole(wheel, split=lambda data: None)
    with pytest.raises(ValueError, match=r"'k_core' must be at least 1 \(got 0\)"):
        read_recbole(wheel, k_core=0)
    with pytest.raises(ValueError, match="'split' must be one of 'random', 'leave_one_out', 'temporal'"):
        read_recbole(wheel, split="eighty-twenty")
    with pytest.raises(ValueError, match=r"'split' must be one of 'random', .* \(got 5\)"):
        read_recbole(wheel, split=5)
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\n1\t2\n")
    with pytest.raises(ValueError, match="'rating_threshold' needs ratings"):
        read_recbole(tmp_path / "a.inter", rating_threshold=3)


@pytest.mark.errors
def test_an_interaction_without_a_time_stamp_has_no_place_in_time(tmp_path: Path) -> None:
    rows = "".join(f"{user}\t{item}\t{'' if user == 1 else user}\n" for user in range(3) for item in range(4))
    (tmp_path / "a.inter").write_text(f"user_id:token\titem_id:token\ttimestamp:float\n{rows}")
    with pytest.raises(ValueError, match="'timestamp' is empty or infinite in 4 of 12 interactions"):
        read_recbole(tmp_path, split="temporal")
    assert "time" not in read_recbole(tmp_path, time_field="")[USER_ITEM]
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n1\t2\tinf\n1\t3\t4\n")
    with pytest.raises(ValueError, match="'timestamp' is empty or infinite in 1 of 2 interactions"):
        read_recbole(tmp_path)
