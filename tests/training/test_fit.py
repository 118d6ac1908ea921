"""fit: early stopping, run folders, and runs that a kill does not change."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.data import SyntheticMultimodal
from drepm_pyg.evaluation import evaluate
from drepm_pyg.models import (
    BM3,
    BPR,
    FREEDOM,
    DRepMRec,
    LightGCN,
    LossOutput,
    MostPopular,
    RecommenderModel,
    Triples,
    WithBMA,
)
from drepm_pyg.nn.losses import BMALoss
from drepm_pyg.training import EpochReport, EpochTriples, FitResult, fingerprint, load_run, read_metrics, read_result
from tests import toy

Train = Callable[..., FitResult]


def build(cls: type[RecommenderModel], data: HeteroData) -> RecommenderModel:
    torch.manual_seed(0)
    return cls.from_data(data, embedding_dim=8)


def weights(model: RecommenderModel) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # both the tracer's own
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("model", [LightGCN, FREEDOM])  # FREEDOM redraws its graph every epoch
def test_a_compiled_loss_trains_as_the_plain_one(model: type[RecommenderModel], train: Train) -> None:
    data = toy.toy_data()
    losses = []
    for compiler in (False, "aot_eager"):
        torch._dynamo.reset()
        run = train(build(model, data), data, compile=compiler)
        losses.append([float(row["train/total"]) for row in read_metrics(run.path / "metrics.csv")])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.errors
def test_a_compiled_model_is_refused(train: Train, tmp_path: Path) -> None:
    data = toy.toy_data()
    with pytest.raises(TypeError, match=r"\(got a OptimizedModule\)\. Pass the model itself, and compile=True"):
        train(torch.compile(build(LightGCN, data)), data)
    with pytest.raises(TypeError, match=r"'model' must be a RecommenderModel \(got a Linear\)\. Subclass it"):
        train(torch.nn.Linear(2, 2), data)
    assert not list(tmp_path.iterdir())


def test_a_run_leaves_its_folder(train: Train, tmp_path: Path) -> None:
    data = toy.toy_data()
    result = train(build(DRepMRec, data), data, init_args={"embedding_dim": 8}, track_lines=True)
    assert isinstance(result, FitResult)
    assert result.path == tmp_path / "drepmrec-seed0"
    assert (result.path / "config.yaml").exists()
    rows = read_metrics(result.path / "metrics.csv")
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3]
    assert {"train/bpr", "train/intra", "val/recall@5", "val/behavior/ndcg@1", "val/cosine_distance_user"} <= set(
        rows[0]
    )
    saved = read_result(result.path)
    assert saved["metrics"] == result.metrics
    assert saved["fingerprint"] == fingerprint(data)
    assert {"torch", "drepm_pyg"} <= set(saved["versions"])
    best = max(rows, key=lambda row: float(row["val/recall@5"]))
    assert result.epoch == int(best["epoch"])
    assert result.metrics["val/recall@5"] == pytest.approx(float(best["val/recall@5"]))
    assert result.metrics["test/ndcg@5"] == evaluate(result.model, data, ks=(5,))["ndcg@5"]
    twin = load_run(result.path, data)
    assert all(torch.equal(p, q) for p, q in zip(weights(twin), weights(result.model), strict=True))


def test_a_part_of_the_loss_is_averaged_over_the_pairs(train: Train) -> None:
    data = toy.toy_data()
    model = build(LightGCN, data)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    result = train(model, data, max_epochs=1, batch_size=1000)
    model.load_state_dict(start)
    (batch,) = EpochTriples(data, batch_size=1000).epoch(0)
    expected = model.loss(data, batch)
    (row,) = read_metrics(result.path / "metrics.csv")
    assert float(row["train/bpr"]) == pytest.approx(expected.parts["bpr"].item(), rel=1e-6)
    assert float(row["train/total"]) == pytest.approx(expected.total.item(), rel=1e-6)


class Frozen(RecommenderModel):
    """A model that never gets better: its first epoch stays the best."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__(num_users, num_items)
        self.unused = torch.nn.Parameter(torch.ones(()))

    def forward(self, data: HeteroData) -> object:
        return MostPopular(self.num_users, self.num_items)(data)

    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        return LossOutput.from_parts(nothing=0 * self.unused)


class Asleep(Frozen):
    """A model that notes the modes it is trained in."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__(num_users, num_items)
        self.part, self.seen = torch.nn.BatchNorm1d(1), set[tuple[bool, bool]]()

    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        self.seen.add((self.training, self.part.training))
        return super().loss(data, batch)


@pytest.mark.filterwarnings("ignore:Found 1 module.s. in eval mode")  # Lightning, of what the user froze
def test_a_model_in_evaluation_mode_is_trained_in_training_mode(train: Train) -> None:
    """As load_run gives one; what was frozen within a model in training mode stays so."""
    data = toy.toy_data()
    model = Asleep.from_data(data)
    train(model.eval(), data)
    assert model.seen == {(True, True)}
    frozen = Asleep.from_data(data)
    frozen.part.eval()
    train(frozen, data)
    assert frozen.seen == {(True, False)}


def test_dropout_is_drawn_whatever_mode_the_model_comes_in(train: Train) -> None:
    data = toy.toy_data()
    runs = [train(model, data) for model in (build(BM3, data), build(BM3, data).eval())]
    assert all(torch.equal(p, q) for p, q in zip(*(weights(run.model) for run in runs), strict=True))


def test_the_model_of_a_result_scores_as_it_was_evaluated(train: Train) -> None:
    """FREEDOM in training mode would score by the pruned graph of its last epoch."""
    data = toy.toy_data()
    model = train(build(FREEDOM, data), data).model
    users = torch.arange(data["user"].num_nodes)
    given = model.score(data, users)
    assert torch.equal(given, model.eval().score(data, users))


def test_training_stops_after_patience_epochs_without_a_larger_metric(train: Train) -> None:
    data = toy.toy_data()
    result = train(Frozen.from_data(data), data, patience=3, max_epochs=50)
    assert (result.epoch, result.epochs) == (0, 4)


def test_a_model_without_training_is_only_evaluated(train: Train) -> None:
    data = toy.toy_data()
    result = train(MostPopular.from_data(data), data)
    assert (result.epoch, result.epochs) == (-1, 0)
    assert result.metrics["test/recall@5"] == evaluate(result.model, data, ks=(5,))["recall@5"]


@pytest.mark.parametrize("cls", [LightGCN, FREEDOM, BM3], ids=lambda cls: cls.__name__)
def test_an_interrupted_run_ends_bit_equal(train: Train, cls: type[RecommenderModel]) -> None:
    """BM3 draws dropout, FREEDOM its edges: both must go on where they were."""
    data = toy.toy_data()
    whole = train(build(cls, data), data, name="whole")

    model, loss, steps = build(cls, data), cls.loss, []

    def stop(self: RecommenderModel, data: HeteroData, batch: Triples) -> LossOutput:
        steps.append(batch)
        if len(steps) == 8:  # in the middle of the third epoch
            raise KeyboardInterrupt
        return loss(self, data, batch)

    model.loss = stop.__get__(model)
    with pytest.raises(KeyboardInterrupt):
        train(model, data, name="cut")
    torch.manual_seed(99)
    resumed = train(cls.from_data(data, embedding_dim=8), data, name="cut", resume=True)
    assert all(torch.equal(p, q) for p, q in zip(weights(whole.model), weights(resumed.model), strict=True))
    assert whole.metrics == resumed.metrics
    assert whole.epoch == resumed.epoch
    rows = [
        [{k: v for k, v in row.items() if "seconds" not in k} for row in read_metrics(r.path / "metrics.csv")]
        for r in (whole, resumed)
    ]
    assert rows[0] == rows[1]
    last = [torch.load(r.path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for r in (whole, resumed)]
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])


@pytest.mark.parametrize("epoch", range(6))
def test_patience_counts_on_between_two_validations(train: Train, epoch: int) -> None:
    """The metric of the last validation stands still for a resumed run, too."""

    def stop(row: Mapping[str, float]) -> None:
        if row["epoch"] == epoch:
            raise InterruptedError

    data = toy.toy_data()
    options: dict[str, Any] = {"name": "run", "max_epochs": 20, "validate_every": 3, "patience": 4}
    with pytest.raises(InterruptedError):
        train(Frozen.from_data(data), data, **options, trainer={"callbacks": [EpochReport(stop)]})
    resumed = train(Frozen.from_data(data), data, **options, resume=True)
    assert (resumed.epoch, resumed.epochs) == (2, 7)


@pytest.mark.parametrize("stops", [(2, 2), (5,), (6,), (1, 2, 3, 5, 6, 7, 9)], ids=str)
def test_a_last_epoch_validated_out_of_turn_does_not_count_once_the_run_goes_on(
    train: Train, stops: tuple[int, ...]
) -> None:
    """Or the run would end with other weights than one that never stopped: here they are those of a later epoch."""
    data = SyntheticMultimodal(num_users=100, num_items=60, seed=0)[0]

    def run(name: str, max_epochs: int) -> FitResult:
        torch.manual_seed(0)
        options: dict[str, Any] = {"validate_every": 4, "patience": 8, "lr": 0.05, "batch_size": 64, "resume": True}
        return train(
            BPR.from_data(data), data, name=name, max_epochs=max_epochs, ks=(10,), monitor="val/recall@10", **options
        )

    whole = run("whole", 24)
    for epochs in stops:
        cut = run("cut", epochs)
        assert cut.epoch < epochs
        assert cut.metrics["val/recall@10"] == evaluate(cut.model, data, split="val", ks=(10,))["recall@10"]
    resumed = run("cut", 24)
    assert (whole.epoch, whole.epochs, whole.metrics) == (resumed.epoch, resumed.epochs, resumed.metrics)
    assert all(torch.equal(p, q) for p, q in zip(weights(whole.model), weights(resumed.model), strict=True))


PROGRAM = """
import sys, torch
from tests import toy
from drepm_pyg.models import BM3
from drepm_pyg.training import fit
data = toy.toy_data()
torch.manual_seed(0)
model = BM3.from_data(data, embedding_dim=8)
fit(model, data, root=sys.argv[1], name=sys.argv[2], batch_size=4, max_epochs=40, patience=100, lr=0.01, ks=(1, 5),
    monitor="val/recall@5", progress=False, resume=True)
"""


def test_a_finished_run_that_goes_on_has_no_result_until_it_ends(train: Train) -> None:
    """The best weights are of the longer run as soon as one of its epochs is the best."""

    def stop(row: Mapping[str, float]) -> None:
        raise InterruptedError

    data = toy.toy_data()
    path = train(build(LightGCN, data), data, name="run", max_epochs=1).path
    assert read_result(path)["epochs"] == 1
    longer: dict[str, Any] = {"name": "run", "max_epochs": 3, "resume": True}
    with pytest.raises(InterruptedError):
        train(build(LightGCN, data), data, **longer, trainer={"callbacks": [EpochReport(stop)]})
    with pytest.raises(FileNotFoundError, match="the run is not finished"):
        read_result(path)
    assert train(build(LightGCN, data), data, **longer).epochs == 3
    assert read_result(path)["epochs"] == 3


@pytest.mark.slow
def test_a_killed_process_goes_on_bit_equal(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}

    def start(name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path), name], env=environment)

    assert start("whole").wait() == 0
    process, metrics = start("killed"), tmp_path / "killed" / "metrics.csv"
    for _ in range(3000):
        if len(read_metrics(metrics)) >= 5:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "result.json").exists()
    assert start("killed").wait() == 0
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "killed")]
    assert results[0]["metrics"] == results[1]["metrics"]
    last = [
        torch.load(tmp_path / n / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for n in ("whole", "killed")
    ]
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])


def test_the_learning_rate_decays_by_the_factor_per_fifty_epochs(train: Train) -> None:
    data = toy.toy_data()
    result = train(build(LightGCN, data), data, lr_decay=0.5)
    state = torch.load(result.path / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(0.02 * 0.5 ** (4 / 50))


def test_metrics_are_plain_csv(train: Train) -> None:
    data = toy.toy_data()
    path = train(build(LightGCN, data), data).path
    with (path / "metrics.csv").open() as file:
        assert next(csv.reader(file))[0] == "epoch"


@pytest.mark.errors
def test_a_loss_that_is_not_finite_is_named(train: Train) -> None:
    data = toy.toy_data()
    model = build(LightGCN, data)
    with torch.no_grad():
        model.encoder.user_embedding.weight[0, 0] = math.nan
    with pytest.raises(FloatingPointError, match=r"not finite in epoch 0 \(train/bpr, train/reg, train/total\)"):
        train(model, data)


@pytest.mark.errors
def test_a_run_goes_on_as_what_it_was(train: Train, tmp_path: Path) -> None:
    data = toy.toy_data()
    train(build(LightGCN, data), data, name="run", max_epochs=1)
    again = {"name": "run", "resume": True}
    with pytest.raises(ValueError, match="can only go on as it began"):
        train(build(BM3, data), data, **again)
    other = toy.toy_data()
    other["item"].text[0, 0] += 1
    with pytest.raises(ValueError, match=r"\(got other data, or the same with other graphs: fingerprint \w+, was"):
        train(build(LightGCN, other), other, **again)
    for changed in ({"ks": (5, 3)}, {"metrics": ("recall",)}, {"track_lines": True}):
        with pytest.raises(ValueError, match=f"can only go on as it began.*{next(iter(changed))}="):
            train(build(LightGCN, data), data, **{**again, **changed})
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert train(build(LightGCN, data), data, **again).epochs == 4
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(CorruptFileError, match=r"last.ckpt' is no checkpoint \([^()]*central directory\)\. Was it"):
        train(build(LightGCN, data), data, **again)


@pytest.mark.errors
def test_only_the_arguments_that_differ_are_told(train: Train) -> None:
    data = toy.toy_data()
    again = {"name": "run", "resume": True}
    train(build(LightGCN, data), data, **{**again, "max_epochs": 1}, init_args={"embedding_dim": 8})
    written_out = {"embedding_dim": 8, "num_layers": 3, "readout": "mean"}
    assert train(build(LightGCN, data), data, **again, init_args=written_out).epochs == 4
    with pytest.raises(ValueError, match=r"and 'trainer' \(got init_args\.reg=0\.2, was 0\.0001\)\. Take"):
        train(build(LightGCN, data), data, **again, init_args={"embedding_dim": 8, "reg": 0.2})


class Scaled(LightGCN):
    """A model of one's own, with an argument that only its repr shows."""

    def __init__(self, num_users: int, num_items: int, scale: float = 1.0, width: int = 2) -> None:
        super().__init__(num_users, num_items, 8)
        self.factor = scale
        self.unused = torch.nn.Parameter(torch.zeros(width))

    def extra_repr(self) -> str:
        return f"scale={self.factor}"


@pytest.mark.errors
@pytest.mark.parametrize(
    ("cls", "began", "now", "text"),
    [
        (DRepMRec, {"alpha": 0.01}, {"alpha": 0.5}, r"alignment\.bma\.alpha=0\.5, was 0\.01"),
        (DRepMRec, {}, {"weights": {"text": 0.25, "image": 0.75}}, r"modal_line\.weights\.image=0\.75, was 0\.3; "),
        (LightGCN, {"embedding_dim": 8}, {"embedding_dim": 16}, r"encoder\.embedding_dim=16, was 8"),
        (Scaled, {"scale": 1.0}, {"scale": 2.0}, r"Scaled='Scaled\(scale=2\)', was 'Scaled\(scale=1\)'"),
        (Scaled, {"width": 2}, {"width": 3}, r"unused=\[3\], was \[2\]"),
    ],
    ids=["loss", "weights", "size", "shown", "shape"],
)
def test_a_run_goes_on_with_a_model_that_was_built_alike(
    train: Train, cls: type[RecommenderModel], began: dict[str, Any], now: dict[str, Any], text: str
) -> None:
    data = toy.toy_data()
    again = {"name": "run", "resume": True}
    train(cls.from_data(data, **began), data, **{**again, "max_epochs": 2})
    with pytest.raises(ValueError, match=rf"'trainer' \(got {text}.*\)\. Take the settings"):
        train(cls.from_data(data, **now), data, **again)
    assert train(cls.from_data(data, **began), data, **again).epochs == 4


@pytest.mark.errors
def test_an_aligned_model_goes_on_with_the_same_weights_of_the_alignment(train: Train) -> None:
    data = toy.toy_data()
    again = {"name": "run", "resume": True}
    began, other, same = (WithBMA(build(DRepMRec, data), BMALoss(alpha, 0, 0)) for alpha in (0.1, 0.7, 0.1))
    train(began, data, **{**again, "max_epochs": 2})
    with pytest.raises(ValueError, match=r"\(got alignment\.bma\.alpha=0\.7, was 0\.1\)"):
        train(other, data, **again)
    assert train(same, data, **again).epochs == 4


@pytest.mark.parametrize("cls", [DRepMRec, FREEDOM, BM3], ids=lambda cls: cls.__name__)
def test_a_trained_model_goes_on_itself(train: Train, cls: type[RecommenderModel]) -> None:
    data = toy.toy_data()
    model = build(cls, data)
    train(model, data, name="run", max_epochs=2)
    assert train(model, data, name="run", resume=True).epochs == 4


@pytest.mark.errors
@pytest.mark.parametrize("damage", ["gone", "empty", "cut in a row", "without an epoch"])
def test_a_run_that_lost_its_epochs_does_not_go_on(damage: str, train: Train) -> None:
    data = toy.toy_data()
    again = {"name": "run", "resume": True}
    file = train(build(LightGCN, data), data, **{**again, "max_epochs": 2}).path / "metrics.csv"
    text = file.read_bytes()
    last_row = text.splitlines(keepends=True)[-1]
    left = {"empty": b"", "cut in a row": text[:-3], "without an epoch": text.removesuffix(last_row)}
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(left[damage])
    for epochs in (2, 4):
        with pytest.raises(CorruptFileError, match=r"metrics.csv' must have a row for each of the 2 epochs .* missing"):
            train(build(LightGCN, data), data, **{**again, "max_epochs": epochs})


@pytest.mark.errors
@pytest.mark.parametrize("text", ["step,loss\n1,2\n", "epoch,loss\nfirst,2\n"])
def test_metrics_that_name_no_epochs_are_refused(text: str, train: Train) -> None:
    data = toy.toy_data()
    file = train(build(LightGCN, data), data, name="run", max_epochs=1).path / "metrics.csv"
    file.write_text(text)
    with pytest.raises(CorruptFileError, match=r"metrics.csv' must have a column 'epoch' of whole numbers"):
        train(build(LightGCN, data), data, name="run", resume=True, max_epochs=2)


@pytest.mark.errors
def test_a_run_does_not_go_back(train: Train) -> None:
    data = toy.toy_data()
    assert train(build(LightGCN, data), data, name="run", max_epochs=3).epochs == 3
    with pytest.raises(ValueError, match=r"'max_epochs' must be at least 3 to go on with .* \(got 2\)"):
        train(build(LightGCN, data), data, name="run", max_epochs=2, resume=True)


@pytest.mark.errors
def test_a_run_without_a_validated_epoch_needs_another_one(train: Train) -> None:
    def stop(row: Mapping[str, float]) -> None:
        if row["epoch"] == 1:
            raise InterruptedError

    data = toy.toy_data()
    options: dict[str, Any] = {"name": "run", "validate_every": 3, "resume": True}
    with pytest.raises(InterruptedError):
        train(build(LightGCN, data), data, **options, trainer={"callbacks": [EpochReport(stop)]})
    with pytest.raises(ValueError, match=r"'max_epochs' must be at least 3 .* none is validated \(got 2\)"):
        train(build(LightGCN, data), data, **options, max_epochs=2)
    assert train(build(LightGCN, data), data, **options, max_epochs=3).epochs == 3


@pytest.mark.errors
@pytest.mark.parametrize("state", [[1, 2], {"callbacks": None, "epoch": 1}])
def test_a_checkpoint_of_something_else_is_refused(state: Any, train: Train) -> None:
    data = toy.toy_data()
    path = train(build(LightGCN, data), data, name="run", max_epochs=1).path
    torch.save(state, path / "checkpoints" / "last.ckpt")
    with pytest.raises(CorruptFileError, match=r"last.ckpt' is no checkpoint"):
        train(build(LightGCN, data), data, name="run", max_epochs=2, resume=True)


@pytest.mark.errors
def test_data_without_interactions_are_refused_and_stay_as_they_were(train: Train, tmp_path: Path) -> None:
    data = toy.toy_data()
    model = build(LightGCN, data)
    del data["user", "interacts", "item"]
    kinds = list(data.edge_types)
    with pytest.raises(ValueError, match=r"'data' must have validation pairs in .*val_edge_label_index \(got none\)"):
        train(model, data)
    assert data.edge_types == kinds
    assert not list(tmp_path.iterdir())


class Mistaken(LightGCN):
    """A loss as one writes it who has not read what it must give."""

    given: Any = None

    def loss(self, data: HeteroData, batch: Triples) -> Any:
        return type(self).given(super().loss(data, batch))


@pytest.mark.errors
@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (lambda loss: loss.total, TypeError, r"'Mistaken\.loss' must return a LossOutput \(got a Tensor\)\. Name its"),
        (lambda loss: None, TypeError, r"'Mistaken\.loss' must return a LossOutput \(got a NoneType\)"),
        (
            lambda loss: LossOutput(loss.total, {"bpr": 0.5}),
            TypeError,
            r"must return tensors .* \(\['bpr'\] are none\)",
        ),
        (lambda loss: LossOutput(loss.total.detach(), {}), ValueError, r"must return a total that depends on weights"),
    ],
    ids=["a tensor", "nothing", "a number", "no gradient"],
)
def test_what_a_loss_must_give_is_said_at_the_first_step(
    train: Train, monkeypatch: pytest.MonkeyPatch, given: Any, error: type[Exception], text: str
) -> None:
    monkeypatch.setattr(Mistaken, "given", staticmethod(given))
    data = toy.toy_data()
    with pytest.raises(error, match=text):
        train(build(Mistaken, data), data)


class Weightless(RecommenderModel):
    """A model that was meant not to be trained."""


@pytest.mark.errors
def test_a_model_without_weights_to_train_is_refused_before_any_work(train: Train, tmp_path: Path) -> None:
    data = toy.toy_data()
    with pytest.raises(ValueError, match=r"'model' must have weights \(Weightless has none\)\. .* trainable = False"):
        train(Weightless.from_data(data), data)
    frozen = build(LightGCN, data).requires_grad_(False)
    with pytest.raises(ValueError, match=r"weights that are trained \(all 2 of LightGCN are frozen\)\. Call"):
        train(frozen, data)
    frozen.encoder.user_embedding.requires_grad_()
    assert not list(tmp_path.iterdir())
    assert train(frozen, data).epochs == 4


@pytest.mark.errors
@pytest.mark.parametrize("data", [None, {"user": 3}], ids=["none", "a mapping"])
def test_data_that_are_none_are_refused(train: Train, tmp_path: Path, data: Any) -> None:
    with pytest.raises(TypeError, match=rf"'data' must be a HeteroData .* \(got a {type(data).__name__}\)\. Read one"):
        train(build(LightGCN, toy.toy_data()), data)
    assert not list(tmp_path.iterdir())


@pytest.mark.errors
@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"monitor": "val/auc"}, ValueError, r"'monitor' must be one of .* \(got 'val/auc'\)"),
        (
            {"patience": 2, "validate_every": 3},
            ValueError,
            r"'patience' must be at least 'validate_every' \(got 2 and 3",
        ),
        ({"ks": 20}, TypeError, r"'ks' must be a list or a tuple \(got 20\)"),
        ({"ks": "20"}, TypeError, r"'ks' must be a list or a tuple \(got '20'\)"),
        ({"ks": ()}, ValueError, r"'ks' must name at least one \(got \(\)\)"),
        ({"ks": (toy.ITEMS + 1,)}, ValueError, r"'ks' must be at most the number of items"),
        ({"metrics": "recall"}, TypeError, r"'metrics' must be a list or a tuple \(got 'recall'\)"),
        ({"metrics": ()}, ValueError, r"'metrics' must name at least one \(got \(\)\)"),
        ({"metrics": ("hitrate",)}, ValueError, r"'metrics' must be one of .* \(got 'hitrate'\)"),
        ({"seed": 0.5}, TypeError, r"'seed' must be an integer \(got 0.5, a float\)"),
        ({"batch_size": 16.0}, TypeError, r"'batch_size' must be an integer \(got 16.0, a float\)"),
        ({"lr": 0}, ValueError, r"'lr' must be a finite number above 0 \(got 0\)"),
        ({"lr_decay": "1"}, TypeError, r"'lr_decay' must be a number \(got '1', a str\)"),
        ({"resume": "no"}, TypeError, r"'resume' must be True or False \(got 'no'\)"),
        ({"track_lines": "no"}, TypeError, r"'track_lines' must be True or False \(got 'no'\)"),
        ({"progress": "no"}, TypeError, r"'progress' must be True or False \(got 'no'\)"),
        ({"tensorboard": "no"}, TypeError, r"'tensorboard' must be True or False \(got 'no'\)"),
        ({"compile": 3}, TypeError, r"'compile' must be True or False \(got 3\)"),
        ({"compile": "gcc"}, ValueError, r"'compile' must be one of .*'inductor'.* \(got 'gcc'\)"),
        ({"init_args": {"modalities": {"text"}}}, TypeError, r"'init_args' must be plain data"),
        ({"name": ""}, ValueError, r"'name' must be the name of a folder below"),
        ({"name": "."}, ValueError, r"'name' must be the name of a folder below"),
        ({"name": "../out"}, ValueError, r"'name' must be the name of a folder below"),
        ({"name": "/tmp"}, ValueError, r"'name' must be the name of a folder below"),
        ({"name": "x\0y"}, ValueError, r"'name' must be the name of a folder below"),
        ({"name": 5}, TypeError, r"'name' must be a string \(got 5, a int\)"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_bad_call_is_refused_before_any_work(
    train: Train, tmp_path: Path, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    data = toy.toy_data()
    with pytest.raises(error, match=text):
        train(build(LightGCN, data), data, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.errors
def test_a_folder_that_holds_a_run_is_refused(train: Train) -> None:
    data = toy.toy_data()
    train(build(LightGCN, data), data, name="run", max_epochs=1)
    with pytest.raises(ValueError, match=r"holds a run already\. Go on with resume=True"):
        train(build(LightGCN, data), data, name="run")


@pytest.mark.errors
@pytest.mark.parametrize(("attribute", "what"), [("edge_index", "training"), ("val_edge_label_index", "validation")])
def test_data_without_the_pairs_of_a_split_are_refused(train: Train, attribute: str, what: str) -> None:
    data = toy.toy_data()
    model = build(LightGCN, data)
    text = rf"'data' must have {what} pairs in .*\.{attribute} \(got none\)\. Split it first"
    data["user", "interacts", "item"][attribute] = torch.empty(2, 0, dtype=torch.long)
    with pytest.raises(ValueError, match=text):
        train(model, data)
    del data["user", "interacts", "item"][attribute]
    with pytest.raises(ValueError, match=text):
        train(model, data)
