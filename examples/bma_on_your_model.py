"""Behaviour-modal alignment on a model of your own: any nn.Module with two pairs of tensors, any training loop.

python examples/bma_on_your_model.py [--data DIR in MMRec's layout] [--epochs 40]
"""

import argparse

import torch
from torch import nn

from drepm_pyg.data import NegativeSampler, SyntheticMultimodal, modalities, modality_mask, read_mmrec
from drepm_pyg.evaluation import evaluate
from drepm_pyg.models import Representations
from drepm_pyg.nn.functional import FactoredSimilarity, false_negative_mask, normalize_rows
from drepm_pyg.nn.losses import BMALoss, BPRLoss

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", help="a directory in MMRec's layout; left out: SyntheticMultimodal")
parser.add_argument("--epochs", type=int, default=40)
args = parser.parse_args()

data = read_mmrec(args.data) if args.data else SyntheticMultimodal(num_users=300, num_items=150, seed=0)[0]
num_users, num_items = data["user"].num_nodes, data["item"].num_nodes
edge_index = data["user", "interacts", "item"].edge_index
names = modalities(data) or parser.error("'--data' must hold item features: a <modality>_feat.npy at least")
rows = []
for name in names:  # an item without the modality has a row of zeros, which is like no other, whatever stands there
    x, mask = data["item"][name].float(), modality_mask(data, name)
    rows.append(normalize_rows(x if mask is None else x.masked_fill(~mask[:, None], 0.0)))
raw_item = normalize_rows(torch.cat(rows, dim=1))  # products of these are the mean of the modalities' cosines
raw_user = torch.zeros(num_users, raw_item.size(1)).index_add_(0, edge_index[0], raw_item[edge_index[1]])
raw_user = normalize_rows(raw_user)


class YourModel(nn.Module):
    """Knows nothing of this library: ID tables beside projected raw features, the users' being those of their items."""

    def __init__(self, dim: int = 64) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(num_users, dim), nn.Embedding(num_items, dim)
        self.project = nn.Linear(raw_item.size(1), dim, bias=False)
        nn.init.xavier_uniform_(self.user.weight)
        nn.init.xavier_uniform_(self.item.weight)

    def forward(self) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
        modal = torch.cat([self.project(raw_user), self.project(raw_item)]).split([num_users, num_items])
        return (self.user.weight, self.item.weight), modal


def train(bma: BMALoss) -> Representations:
    torch.manual_seed(0)
    model, bpr, sampler = YourModel(), BPRLoss(), NegativeSampler(edge_index, num_items)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(args.epochs):
        for pairs in edge_index[:, torch.randperm(edge_index.size(1))].split(512, dim=1):
            (user, item), negative = pairs, sampler.sample(pairs[0])
            (b_user, b_item), (m_user, m_item) = model()
            g_user, g_item = b_user + m_user, b_item + m_item
            pos_score, neg_score = ((g_user[user] * g_item[i]).sum(1) for i in (item, negative))
            aligned = bma(
                behavior_user=b_user[user],
                behavior_item=b_item[item],
                modal_user=m_user[user],
                modal_item=m_item[item],
                user=user,
                item=item,
                mask=false_negative_mask(user, item, edge_index),  # matters where the catalogue is small
                # Asked for the distinct ids of the batch, and never made into a matrix over them.
                user_similarity=lambda ids: FactoredSimilarity([raw_user[ids]]),
                item_similarity=lambda ids: FactoredSimilarity([raw_item[ids]]),
            )
            optimizer.zero_grad()
            (bpr(pos_score, neg_score) + aligned.total).backward()
            optimizer.step()
        if epoch + 1 == args.epochs:
            print(*(f"{name} {value:.3f}" for name, value in aligned._asdict().items()), sep="  ")
    with torch.no_grad():
        return Representations(*(behavior + modal for behavior, modal in zip(*model(), strict=True)))


# The weights live on a logarithmic grid: choose them on validation data, and look at the parts as well as at the sum.
for bma in (BMALoss(0.0, 0.0, 0.0), BMALoss(0.01, 0.001, 0.1)):
    metrics = evaluate(train(bma), data, split="val")
    print(f"{bma.alpha}/{bma.beta}/{bma.gamma}: validation Recall@20 {metrics['recall@20']:.4f}")
