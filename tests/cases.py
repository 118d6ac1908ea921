"""What every class of a kind must satisfy, once: a concrete test names the class and adds what is special about it."""

import copy
import io
import pickle
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from drepm_pyg import models
from drepm_pyg.evaluation import topk
from drepm_pyg.models import RecommenderModel, Triples
from drepm_pyg.nn import losses
from tests import toy
from tests.tolerance import TOLERANCE

__all__ = ["LossCase", "ModelCase", "TrainedModelCase"]


class ModelCase:
    """What every model of the library must satisfy; ``kwargs`` go to ``from_data`` beside the data."""

    cls: ClassVar[type[RecommenderModel]]
    kwargs: ClassVar[dict[str, Any]] = {}

    def build(self, data: HeteroData, seed: int = 0, **kwargs: Any) -> RecommenderModel:
        torch.manual_seed(seed)
        return self.cls.from_data(data, **{**self.kwargs, **kwargs}).eval()

    @pytest.fixture(params=["whole", "masked", "one_modality"])
    def data(self, request: pytest.FixtureRequest) -> HeteroData:
        widths = {"text": 5} if request.param == "one_modality" else toy.WIDTHS
        return toy.toy_data(widths=widths, masked=request.param == "masked")

    def scores(self, model: RecommenderModel, data: HeteroData) -> Tensor:
        with torch.no_grad():
            return model.score(data, torch.arange(data["user"].num_nodes))

    def test_is_found_by_its_name(self) -> None:
        assert models.get_model(self.cls.__name__) is self.cls

    def test_scores_every_user_and_item(self, data: HeteroData) -> None:
        scores = self.scores(self.build(data), data)
        assert scores.shape == (toy.USERS, toy.ITEMS)
        assert scores.dtype == torch.float32
        assert scores.isfinite().all()

    @pytest.mark.errors
    @pytest.mark.parametrize(("user", "item"), [([toy.USERS], None), ([-1], [0]), ([0], [toy.ITEMS]), ([0], [-1])])
    def test_ids_out_of_range_are_named(self, user: list[int], item: list[int] | None) -> None:
        data = toy.toy_data()
        model, candidates = self.build(data), None if item is None else torch.tensor(item)
        what = "item" if user == [0] else "user"
        with pytest.raises(ValueError, match=rf"'{what}' must hold ids in \[0, \d+\) .* {what}s"):
            model.score(data, torch.tensor(user), candidates)
        with pytest.raises(TypeError, match=r"'user' must be a torch tensor \(got a list\)"):
            model.score(data, user)

    def test_reverse_edges_may_be_missing(self, data: HeteroData) -> None:
        expected, other = self.scores(self.build(data), data), copy.copy(data)
        del other["item", "rev_interacts", "user"]
        assert torch.equal(self.scores(self.build(other), other), expected)

    def test_score_tables_and_topk_agree(self, data: HeteroData) -> None:
        model = self.build(data)
        full = self.scores(model, data)
        user, item = torch.tensor([3, 0, 3]), torch.tensor([4, 4, 1])
        with torch.no_grad():
            torch.testing.assert_close(model.score(data, user), full[user])
            torch.testing.assert_close(model.score(data, user, item), full[user][:, item])
            tables = model(data)
        torch.testing.assert_close(tables.user @ tables.item.T, full)
        best = topk(tables.user, tables.item, 4)
        torch.testing.assert_close(best.scores, full.topk(4).values)
        torch.testing.assert_close(full.gather(1, best.ids), best.scores)

    def test_new_ids_permute_the_scores(self, data: HeteroData) -> None:
        user, item = toy.new_ids()
        model, renamed = self.build(data), toy.permuted(data, user, item)
        twin = self.permuted(model, user, item)
        torch.testing.assert_close(self.scores(twin, renamed)[user][:, item], self.scores(model, data))

    def permuted(self, model: RecommenderModel, user: Tensor, item: Tensor) -> RecommenderModel:
        """The model under other ids: the rows of every table of users or items move with their ids."""
        twin = copy.deepcopy(model)
        for tensor in (*twin.parameters(), *twin.buffers()):
            order = {toy.USERS: user, toy.ITEMS: item}.get(tensor.size(0) if tensor.ndim else 0)
            if order is not None:
                tensor.data = tensor.data[order.argsort()]
        return twin

    def test_saved_weights_restore_the_scores(self, data: HeteroData) -> None:
        model, other = self.build(data, seed=0), self.build(data, seed=1)
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(self.scores(other, data), self.scores(model, data))

    def test_no_held_out_pair_is_seen(self, data: HeteroData) -> None:
        model, changed = self.build(data), data.clone()
        pairs = changed["user", "interacts", "item"]
        pairs.val_edge_label_index = pairs.val_edge_label_index.flip(1)[:, :1]
        del pairs.test_edge_label_index
        assert torch.equal(self.scores(model, changed), self.scores(model, data))

    def test_survives_nodes_without_edges_and_zero_features(self) -> None:
        data = toy.toy_data(num_edges=3)
        for name in toy.WIDTHS:
            data["item"][name] = torch.zeros_like(data["item"][name])
        assert self.scores(self.build(data), data).isfinite().all()

    def test_scores_follow_the_data(self) -> None:
        first, second = toy.toy_data(seed=1), toy.toy_data(seed=2)
        model = self.build(first)
        again = self.scores(model, first), self.scores(model, second), self.scores(model, first)
        assert torch.equal(again[0], again[2])
        assert torch.equal(again[1], self.scores(copy.deepcopy(model), second))

    @pytest.mark.compile
    @pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo itself does so
    def test_compiles(self) -> None:
        data = toy.toy_data()
        model = self.build(data)
        if not model.factorized:
            return  # nothing but look-ups in a sparse matrix: there is no graph of operations to trace
        compiled = torch.compile(model, backend="aot_eager")
        with torch.no_grad():
            torch.testing.assert_close(compiled(data).user, model(data).user)
            torch.testing.assert_close(compiled(data).item, model(data).item)


class TrainedModelCase(ModelCase):
    """A model that learns from triples by gradients."""

    #: Arguments for the overfitting test, where the defaults regularise it away.
    overfit_kwargs: ClassVar[dict[str, Any]] = {"reg": 0.0}
    learning_rate: ClassVar[float] = 0.05

    def gradients(self, model: RecommenderModel, data: HeteroData, batch: Triples) -> dict[str, Tensor]:
        model.zero_grad()
        model.before_epoch(data, torch.Generator().manual_seed(0))
        model.loss(data, batch).total.backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    def loss(self, model: RecommenderModel, data: HeteroData, batch: Triples) -> dict[str, Tensor]:
        torch.manual_seed(0)
        with torch.no_grad():
            output = model.loss(data, batch)
        return {"total": output.total, **output.parts}

    def test_total_is_the_sum_of_the_parts(self, data: HeteroData) -> None:
        parts = self.loss(self.build(data), data, toy.toy_batch(data))
        torch.testing.assert_close(parts.pop("total"), sum(parts.values(), start=torch.zeros(())))

    def test_gradients_reach_every_parameter(self, data: HeteroData) -> None:
        model = self.build(data).train()
        gradients = self.gradients(model, data, toy.toy_batch(data))
        untrained = [name for name, _ in model.named_parameters() if name not in gradients or not gradients[name].any()]
        assert untrained == []

    def test_reset_changes_every_weight_and_seeds_repeat_it(self, data: HeteroData) -> None:
        model = self.build(data)
        before = copy.deepcopy(model.state_dict())
        torch.manual_seed(1)
        model.reset_parameters()
        assert not any(torch.equal(before[n], p) for n, p in model.named_parameters() if "bias" not in n)
        twin = self.build(data, seed=2)
        torch.manual_seed(1)
        twin.reset_parameters()
        assert all(torch.equal(p, q) for p, q in zip(model.parameters(), twin.parameters(), strict=True))

    def test_equal_seeds_train_equally(self, data: HeteroData) -> None:
        trained = []
        for _ in range(2):
            model = self.build(data).train()
            self.train(model, data, toy.toy_batch(data), steps=3)
            trained.append(self.scores(model.eval(), data))
        assert torch.equal(*trained)

    def train(self, model: RecommenderModel, data: HeteroData, batch: Triples, steps: int) -> None:
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(0)
        optimizer = torch.optim.Adam(model.parameters(), lr=self.learning_rate)
        for _ in range(steps):
            model.before_epoch(data, generator)
            optimizer.zero_grad()
            model.loss(data, batch).total.backward()
            optimizer.step()

    def test_overfits_twenty_interactions(self) -> None:
        data = toy.toy_data(num_edges=20)
        model = self.build(data, **self.overfit_kwargs).train()
        known = torch.zeros(toy.USERS, toy.ITEMS, dtype=torch.bool)
        known[tuple(data["user", "interacts", "item"].edge_index)] = True
        for seed in range(20):
            self.train(model, data, toy.toy_batch(data, seed=seed), steps=10)
        scores = self.scores(model.eval(), data)
        margin = scores.masked_fill(~known, torch.inf).amin(1) - scores.masked_fill(known, -torch.inf).amax(1)
        assert (margin[known.any(1)] > 0).all()

    def test_new_ids_leave_the_loss_alone(self, data: HeteroData) -> None:
        user, item = toy.new_ids()
        model, batch = self.build(data), toy.toy_batch(data)
        renamed = Triples(user[batch.user], item[batch.positive], item[batch.negative])
        twin = self.permuted(model, user, item)
        expected = self.loss(model, data, batch)
        torch.testing.assert_close(self.loss(twin, toy.permuted(data, user, item), renamed), expected)

    def test_no_held_out_pair_reaches_the_loss(self, data: HeteroData) -> None:
        model, batch, changed = self.build(data), toy.toy_batch(data), data.clone()
        pairs = changed["user", "interacts", "item"]
        pairs.val_edge_label_index = pairs.val_edge_label_index.flip(1)[:, :1]
        del pairs.test_edge_label_index
        assert self.loss(model, changed, batch) == self.loss(model, data, batch)

    @pytest.mark.parametrize("fault", ["one user, one item", "isolated nodes", "zero features"])
    def test_loss_and_gradients_stay_within_bounds(self, fault: str) -> None:
        if fault == "one user, one item":
            features = {name: torch.ones(1, width) for name, width in toy.WIDTHS.items()}
            data = toy.with_edges(1, 1, torch.zeros(2, 1, dtype=torch.long), features)
        else:
            data = toy.toy_data(num_edges=3)
        if fault == "zero features":
            for name in toy.WIDTHS:
                data["item"][name] = torch.zeros_like(data["item"][name])
        model, batch = self.build(data).train(), toy.toy_batch(data)
        gradients = self.gradients(model, data, batch)
        assert all(gradient.abs().max() < 100 for gradient in gradients.values())  # no 1 / epsilon at a zero row
        assert all(part.isfinite() for part in self.loss(model, data, batch).values())

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    @pytest.mark.parametrize("autocast", [False, True])
    def test_half_precision_is_near_single_where_items_lack_a_modality(
        self, dtype: torch.dtype, autocast: bool
    ) -> None:
        data = toy.toy_data(masked=True)
        model, batch = self.build(data), toy.toy_batch(data)
        single, expected = self.loss(model, data, batch)["total"], self.scores(model, data)
        if not autocast:
            model.to(dtype)
            for name in toy.WIDTHS:
                data["item"][name] = data["item"][name].to(dtype)
        with torch.autocast("cpu", dtype, enabled=autocast):
            gradients = self.gradients(model, data, batch)
            total, scores = self.loss(model, data, batch)["total"], self.scores(model, data)
        torch.testing.assert_close(total.float(), single, **TOLERANCE[dtype])
        torch.testing.assert_close(scores.float(), expected, **TOLERANCE[dtype])
        assert all(gradient.isfinite().all() for gradient in gradients.values())


class LossCase:
    """What every loss must satisfy: ``inputs`` are the arguments of its forward, ``reference`` its formula in loops."""

    cls: ClassVar[type[nn.Module]]
    kwargs: ClassVar[dict[str, Any]] = {}
    #: Inputs that the loss compares with, where no gradient may arrive.
    targets: ClassVar[tuple[str, ...]] = ()
    #: Whether rows count by their direction alone, so that a zero row gets no gradient.
    normalizes: ClassVar[bool] = True

    def build(self, **kwargs: Any) -> nn.Module:
        return self.cls(**{**self.kwargs, **kwargs})

    def inputs(self, rows: int = 6) -> dict[str, Tensor]:
        raise NotImplementedError

    def reference(self, **inputs: Tensor) -> float:
        raise NotImplementedError

    def value(self, loss: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        return loss(**inputs)

    def leaves(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The inputs that are learned."""
        return {name: x for name, x in inputs.items() if x.is_floating_point() and name not in self.targets}

    def changed(self, inputs: dict[str, Tensor], change: Any) -> dict[str, Tensor]:
        """The inputs with ``change`` applied to those that are learned, as new leaves that want a gradient."""
        learned = {name: change(x).clone().requires_grad_() for name, x in self.leaves(inputs).items()}
        return {**inputs, **learned}

    def cast(self, inputs: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
        return {name: x.to(dtype) if x.is_floating_point() else x for name, x in inputs.items()}

    def gradients(self, inputs: dict[str, Tensor]) -> list[Tensor]:
        return [x.grad for x in self.leaves(inputs).values() if x.grad is not None]

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    def test_is_the_formula(self, dtype: torch.dtype) -> None:
        inputs = self.inputs()
        value = self.value(self.build(), self.cast(inputs, dtype))
        assert value.dtype == dtype
        assert value.shape == ()
        expected = torch.tensor(self.reference(**inputs), dtype=dtype)
        torch.testing.assert_close(value, expected, **TOLERANCE[dtype])

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_inputs_are_summed_in_float32(self, dtype: torch.dtype) -> None:
        half = self.changed(self.cast(self.inputs(), dtype), lambda x: x)
        value = self.value(self.build(), half)
        assert value.dtype == torch.float32
        expected = self.reference(**self.cast({name: x.detach() for name, x in half.items()}, torch.float64))
        torch.testing.assert_close(value.double().item(), expected, **TOLERANCE[dtype])
        value.backward()
        assert all(gradient.dtype == dtype and gradient.isfinite().all() for gradient in self.gradients(half))

    def test_autocast_does_not_halve_it(self) -> None:
        inputs = self.cast(self.inputs(), torch.float32)
        loss, learned = self.build(), self.changed(inputs, lambda x: x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = self.value(loss, learned)
        torch.testing.assert_close(value, self.value(loss, inputs))
        value.backward()
        assert all(gradient.isfinite().all() for gradient in self.gradients(learned))

    def test_gradient_is_the_derivative(self) -> None:
        inputs, loss = self.inputs(), self.build()
        names = list(self.leaves(inputs))

        def of_leaves(*leaves: Tensor) -> Tensor:
            return self.value(loss, {**inputs, **dict(zip(names, leaves, strict=True))})

        assert torch.autograd.gradcheck(of_leaves, [inputs[name].requires_grad_() for name in names])

    def test_row_order_does_not_matter(self) -> None:
        inputs = self.inputs()
        order = {rows: torch.randperm(rows, generator=torch.Generator().manual_seed(1)) for rows in range(1, 10)}
        permuted = {name: x[order[len(x)]] for name, x in inputs.items()}
        for name, x in permuted.items():
            if x.ndim == 2 and x.size(0) == x.size(1) and name not in self.leaves(inputs):
                permuted[name] = x[:, order[len(x)]]
        loss = self.build()
        torch.testing.assert_close(self.value(loss, permuted), self.value(loss, inputs), rtol=1e-12, atol=1e-12)

    def test_survives_extreme_values(self) -> None:
        inputs = self.changed(self.cast(self.inputs(), torch.float32), lambda x: 1e4 * x)
        value = self.value(self.build(), inputs)
        value.backward()
        assert value.isfinite()
        assert all(gradient.isfinite().all() for gradient in self.gradients(inputs))

    def test_zero_rows_stay_where_they_are(self) -> None:
        def with_zero_row(x: Tensor) -> Tensor:
            return torch.cat([torch.zeros_like(x[:1]), x[1:]])

        inputs = self.changed(self.cast(self.inputs(), torch.float32), with_zero_row)
        value = self.value(self.build(), inputs)
        value.backward()
        assert value.isfinite()
        assert all(gradient.isfinite().all() for gradient in self.gradients(inputs))
        if self.normalizes:
            assert all((gradient[0] == 0).all() and gradient[1:].any() for gradient in self.gradients(inputs))

    def test_one_row_is_enough(self) -> None:
        inputs = self.inputs(rows=1)
        learned = self.changed(inputs, lambda x: x)
        value = self.value(self.build(), learned)
        value.backward()
        assert value.item() == pytest.approx(self.reference(**inputs), abs=1e-12)
        assert all(gradient.isfinite().all() for gradient in self.gradients(learned))

    def test_no_gradient_reaches_the_target(self) -> None:
        inputs = self.inputs()
        learned = self.changed(inputs, lambda x: x)
        wanting = {name: inputs[name].clone().requires_grad_() for name in self.targets}
        self.value(self.build(), {**learned, **wanting}).backward()
        assert all(x.grad is None for x in wanting.values())

    @pytest.mark.compile
    def test_compiles_whole(self) -> None:
        torch._dynamo.reset()
        inputs, loss = self.cast(self.inputs(), torch.float32), self.build()
        eager, traced = self.changed(inputs, lambda x: x), self.changed(inputs, lambda x: x)
        expected = self.value(loss, eager)
        value = self.value(torch.compile(loss, fullgraph=True, backend="aot_eager"), traced)
        torch.testing.assert_close(value, expected)
        for one in (value, expected):
            one.backward()
        torch.testing.assert_close(self.gradients(traced), self.gradients(eager))

    def test_has_no_state_and_pickles(self) -> None:
        loss, inputs = self.build(), self.inputs()
        assert not loss.state_dict()
        twin = pickle.loads(pickle.dumps(loss))
        assert torch.equal(self.value(twin, inputs), self.value(loss, inputs))

    def test_repr_is_the_call_that_built_it(self) -> None:
        loss = self.build()
        assert repr(eval(repr(loss), vars(losses).copy())) == repr(loss)
        assert all(f"{name}={value!r}" in repr(loss) for name, value in self.kwargs.items())
