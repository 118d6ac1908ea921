"""Two processes find the graph that one finds."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys, torch
from torch import distributed
from drepm_pyg.graph import bipartite_knn_graph, find, knn_graph, user_knn_graph

rank, rendezvous = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
generator = torch.Generator().manual_seed(0)
x = torch.randn(301, 12, generator=generator)
x[::9] = x[0]
uneven = torch.randn(1500, 12, generator=generator)
uneven[:750] = torch.randn(30, 12, generator=generator).repeat(25, 1) + 0.05 * uneven[:750]
pairs = torch.stack([torch.arange(900) % 150, torch.randint(0, 301, (900,), generator=generator)])
for metric in ("cosine", "ip", "l2"):
    for index in ("auto", "blocks", "flat"):
        options = {"metric": metric, "index": index}
        one, weight = knn_graph(x, 5, return_weight=True, **options)
        two, weight_two = knn_graph(x, 5, return_weight=True, distributed=True, **options)
        assert torch.equal(one, two) and torch.equal(weight, weight_two), options
    for index in ("gram", "blocks"):
        options = {"metric": metric, "index": index, "mutual": True}
        one = user_knn_graph(x, pairs, 150, 5, **options)
        assert torch.equal(one, user_knn_graph(x, pairs, 150, 5, distributed=True, **options)), options
    plain, find._EXACT_WORK = find._EXACT_WORK, 1500 * 1500 * 12 - 1  # each half alone would be within it
    assert torch.equal(knn_graph(uneven, 5, metric=metric), knn_graph(uneven, 5, metric=metric, distributed=True))
    find._EXACT_WORK = plain
    for index in ("ivf", "IVF20,Flat"):  # two densities: half of the rows alone would be tuned to another effort
        options = {"metric": metric, "index": index, "target_recall": 0.9, "return_info": True}
        one, info = knn_graph(uneven, 5, **options)
        two, info_two = knn_graph(uneven, 5, distributed=True, **options)
        assert torch.equal(one, two) and info.parameters == info_two.parameters, options
        assert info.recall == info_two.recall, options
    one = bipartite_knn_graph(x, x[:1], 5, metric=metric)  # a single row: one process has nothing to do
    assert torch.equal(one, bipartite_knn_graph(x, x[:1], 5, metric=metric, distributed=True))
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_find_the_same_graph(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    command = [sys.executable, "-c", PROGRAM]
    workers = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "rendezvous")], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    errors = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], errors


@pytest.mark.errors
def test_without_a_process_group() -> None:
    import torch

    from drepm_pyg.graph import knn_graph

    with pytest.raises(RuntimeError, match=r"'distributed=True' needs torch\.distributed"):
        knn_graph(torch.eye(4), 1, distributed=True)
