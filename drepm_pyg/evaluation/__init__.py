"""Full ranking: the best items by blocks, and metrics on held-out pairs."""

from drepm_pyg.evaluation.evaluate import PerUserMetrics, evaluate, evaluate_users
from drepm_pyg.evaluation.metrics import METRICS
from drepm_pyg.evaluation.ranking import TopK, topk
from drepm_pyg.evaluation.scoring import HasTables

__all__ = ["METRICS", "HasTables", "PerUserMetrics", "TopK", "evaluate", "evaluate_users", "topk"]
