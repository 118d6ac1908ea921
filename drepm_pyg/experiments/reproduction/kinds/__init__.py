"""What each kind of experiment makes of its finished runs."""

from collections.abc import Callable, Mapping, Sequence

from drepm_pyg.experiments.reproduction.kinds.curve import make_curve
from drepm_pyg.experiments.reproduction.kinds.gradients import make_gradients
from drepm_pyg.experiments.reproduction.kinds.lines import make_lines
from drepm_pyg.experiments.reproduction.kinds.statistics import make_statistics
from drepm_pyg.experiments.reproduction.kinds.sweep import make_sweep
from drepm_pyg.experiments.reproduction.kinds.table import make_table
from drepm_pyg.experiments.reproduction.kinds.tsne import make_tsne
from drepm_pyg.experiments.reproduction.measured import Measured
from drepm_pyg.experiments.reproduction.output import Output
from drepm_pyg.experiments.reproduction.plan import Context
from drepm_pyg.experiments.reproduction.spec import Spec

__all__ = ["MAKERS"]

#: By :data:`~drepm_pyg.experiments.reproduction.spec.KINDS`.
MAKERS: Mapping[str, Callable[[Spec, Sequence[Measured], Context], Output]] = {
    "statistics": make_statistics,
    "table": make_table,
    "lines": make_lines,
    "curve": make_curve,
    "gradients": make_gradients,
    "tsne": make_tsne,
    "sweep": make_sweep,
}
