"""Saved recommenders: equal answers after loading, and a clear error for every kind of damage."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.models import Representations
from drepm_pyg.recommend import Recommender
from tests import toy

TENSORS, HEADER = "tensors.safetensors", "recommender.json"


def build(seed=0):
    data = toy.toy_data(masked=True, seed=seed)
    data["item"].title = [f"Nº {number}" for number in range(toy.ITEMS)]
    data["user"].user_id = [f"u{number}" for number in range(toy.USERS)]
    generator = torch.Generator().manual_seed(seed)
    tables = Representations(
        torch.randn(toy.USERS, 4, generator=generator), torch.randn(toy.ITEMS, 4, generator=generator)
    )
    return Recommender(tables, data)


@pytest.fixture
def recommender():
    return build()


@pytest.fixture
def saved(recommender, tmp_path):
    recommender.save(tmp_path / "saved")
    return tmp_path / "saved"


def test_saved_is_loaded(recommender, saved):
    loaded = Recommender.load(saved)
    users = range(toy.USERS)
    torch.testing.assert_close(loaded.recommend(users, 4), recommender.recommend(users, 4), rtol=0, atol=0)
    torch.testing.assert_close(loaded.similar_items([0], 4), recommender.similar_items([0], 4), rtol=0, atol=0)
    assert (loaded.titles, loaded.user_ids, loaded.item_ids) == (recommender.titles, recommender.user_ids, None)
    x = {"text": torch.ones(2, toy.WIDTHS["text"])}
    assert loaded.add_items(x, k=2).tolist() == recommender.add_items(x, k=2).tolist()
    torch.testing.assert_close(loaded.recommend(users, 4), recommender.recommend(users, 4), rtol=0, atol=0)


def test_added_items_survive_and_take_no_part_in_later_neighbourhoods(recommender, tmp_path):
    x = {"text": torch.ones(1, toy.WIDTHS["text"])}
    recommender.add_items(x, k=2, titles=["new"])
    recommender.save(tmp_path)
    loaded = Recommender.load(str(tmp_path))
    assert loaded.titles[-1] == "new"
    loaded.add_items(x, k=2)
    first, second = loaded.similar_items([toy.ITEMS, toy.ITEMS + 1], 1).ids.flatten().tolist()
    assert (first, second) == (toy.ITEMS + 1, toy.ITEMS)


def test_only_the_items_that_are_there_are_written(recommender, tmp_path):
    """Not the space that is kept for more of them."""
    recommender.add_items({"text": torch.ones(3, toy.WIDTHS["text"])}, k=2)
    recommender.save(tmp_path)
    loaded = Recommender.load(tmp_path)
    assert loaded.num_items == toy.ITEMS + 3
    assert torch.equal(loaded._tables.item, recommender._tables.item)
    assert loaded._tables.item.untyped_storage().nbytes() == recommender._tables.item.nbytes


def test_saving_again_replaces(saved):
    other = build(seed=1)
    other.save(saved)
    torch.testing.assert_close(Recommender.load(saved).recommend([0], 3), other.recommend([0], 3))
    assert sorted(file.name for file in saved.iterdir()) == [HEADER, TENSORS]


def test_loading_needs_no_model_and_no_data_class(saved):
    program = f"""
import sys
from drepm_pyg.recommend import Recommender
Recommender.load({str(saved)!r}).recommend([0], 2)
assert not any(name.startswith(("drepm_pyg.models", "lightning", "faiss")) for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(bytes(content))


def edit(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def swap_tensors(folder):
    build(seed=1).save(folder / "other")
    (folder / "other" / TENSORS).replace(folder / TENSORS)


DAMAGES = {
    "tensors missing": (lambda folder: (folder / TENSORS).unlink(), "is missing"),
    "header missing": (lambda folder: (folder / HEADER).unlink(), "is missing"),
    "tensors truncated": (lambda folder: truncate(folder / TENSORS), "truncated"),
    "header truncated": (lambda folder: truncate(folder / HEADER), "truncated"),
    "tensors empty": (lambda folder: (folder / TENSORS).write_bytes(b""), "truncated"),
    "a bit flipped": (lambda folder: flip_a_bit(folder / TENSORS), "changed"),
    "tensors of another save": (swap_tensors, "another save"),
    "a list for a header": (lambda folder: (folder / HEADER).write_text("[]"), "does not describe a recommender"),
    "a header of something else": (lambda folder: edit(folder / HEADER, format="x"), "does not describe a recommender"),
    "a later version": (lambda folder: edit(folder / HEADER, version=99), "format version 99"),
    "a size that is no count": (lambda folder: edit(folder / HEADER, num_users="many"), "no count"),
    "another size": (lambda folder: edit(folder / HEADER, num_users=toy.USERS + 1), "'user' has the shape"),
    "fewer titles": (lambda folder: edit(folder / HEADER, titles=["one"]), "'titles' is no list of"),
    "titles of numbers": (lambda folder: edit(folder / HEADER, titles=[1] * toy.ITEMS), "'titles' is no list of"),
}


@pytest.mark.errors
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(saved, damage):
    do, text = DAMAGES[damage]
    do(saved)
    with pytest.raises(CorruptFileError, match=text):
        Recommender.load(saved)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda tensors: tensors.pop("seen"), "lack what they must hold"),
        (lambda tensors: tensors.update(seen=tensors["seen"] + 1000), "'seen' holds ids out of range"),
        (lambda tensors: tensors.update(item=tensors["item"][0]), "lack what they must hold"),
        (lambda tensors: tensors.update(user=tensors["user"][:, :2].clone()), "'user' has the shape"),
    ],
)
def test_tensors_that_do_not_fit_one_another(saved, change, text):
    import hashlib

    tensors = load_file(saved / TENSORS)
    change(tensors)
    save_file(tensors, saved / TENSORS)
    edit(saved / HEADER, checksum=hashlib.blake2b((saved / TENSORS).read_bytes()).hexdigest())
    with pytest.raises(CorruptFileError, match=text):
        Recommender.load(saved)


@pytest.mark.errors
def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must be a directory that Recommender\.save wrote"):
        Recommender.load(tmp_path / "nowhere")


@pytest.mark.errors
def test_a_folder_of_something_else_is_left_as_it_is(recommender, tmp_path):
    (tmp_path / "config.yaml").write_text("mine")
    for target in (tmp_path, tmp_path / "config.yaml"):
        with pytest.raises(ValueError, match=r"'path' must be a new or empty folder, or one that holds a saved"):
            recommender.save(target)
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_a_saved_recommender_is_replaced_whatever_came_to_stand_beside_it(recommender, tmp_path):
    (tmp_path / ".DS_Store").write_text("the system's")
    for _ in range(2):
        recommender.save(tmp_path)
        (tmp_path / "README").write_text("mine")
    assert (tmp_path / "README").read_text() == "mine"


def test_one_mask_may_serve_two_modalities(tmp_path):
    data = toy.toy_data()
    data["item"].image_mask = data["item"].text_mask = torch.ones(toy.ITEMS, dtype=torch.bool)
    tables = Representations(torch.ones(toy.USERS, 4), torch.ones(toy.ITEMS, 4))
    recommender = Recommender(tables, data)
    recommender.save(tmp_path)
    assert Recommender.load(tmp_path).num_items == toy.ITEMS
