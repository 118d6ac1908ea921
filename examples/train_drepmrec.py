"""DRepMRec in a bare PyTorch loop: no trainer, no command line of the library.

python examples/train_drepmrec.py                      # synthetic data, seconds on a CPU
python examples/train_drepmrec.py --data DIR           # a data set in MMRec's layout
"""

import argparse

import torch

from drepm_pyg.data import NegativeSampler, SyntheticMultimodal, read_mmrec
from drepm_pyg.evaluation import evaluate
from drepm_pyg.graph import AddSimilarityGraphs
from drepm_pyg.models import DRepMRec, Triples

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", help="a directory in MMRec's layout; left out: SyntheticMultimodal")
parser.add_argument("--epochs", type=int, default=5)
args = parser.parse_args()

data = read_mmrec(args.data) if args.data else SyntheticMultimodal(num_users=300, num_items=150, seed=0)[0]
data = AddSimilarityGraphs(k=10, loop=True)(data)  # item-item and user-user, per modality (Eq. 5)

torch.manual_seed(0)
model = DRepMRec.from_data(data)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

edge_index = data["user", "interacts", "item"].edge_index
sampler = NegativeSampler(edge_index, data["item"].num_nodes)

for epoch in range(args.epochs):
    model.train()
    user, positive = edge_index[:, torch.randperm(edge_index.size(1))]
    negative = sampler.sample(user)  # one per positive, never a training item of the user
    for batch in zip(user.split(2048), positive.split(2048), negative.split(2048), strict=True):
        optimizer.zero_grad()
        loss = model.loss(data, Triples(*batch))
        loss.total.backward()
        optimizer.step()
    metrics = evaluate(model, data, split="val")
    parts = ", ".join(f"{name} {value:.4f}" for name, value in loss.parts.items())
    print(f"epoch {epoch}: {parts}; validation Recall@20 {metrics['recall@20']:.4f}")

tables = model.eval()(data)
for name, line in {"behaviour": tables.behavior, "modal": tables.modal, "general": tables}.items():
    print(f"{name:>9}: test Recall@20 {evaluate(line, data)['recall@20']:.4f}")
