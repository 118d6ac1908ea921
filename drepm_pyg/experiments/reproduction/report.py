"""One HTML page with everything: tables, pictures, settings, versions, and the commands that make it again."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from drepm_pyg.data import modalities
from drepm_pyg.experiments.reproduction.measured import Measured
from drepm_pyg.experiments.reproduction.output import SHORT, Output
from drepm_pyg.experiments.reproduction.plan import Context
from drepm_pyg.experiments.reproduction.settings import settings_source
from drepm_pyg.experiments.reproduction.table import Cell, Table
from drepm_pyg.training import read_result
from drepm_pyg.training.run import versions

__all__ = ["write_report"]

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem auto; max-width: 72rem;
  padding: 0 1rem; }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 3rem; border-top: 1px solid #ccc; padding-top: 1rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums;
  border-top: 2px solid #1a1a1a; border-bottom: 2px solid #1a1a1a; }
caption { text-align: left; font-weight: 600; padding: 0.25rem 0; }
th, td { padding: 0.2rem 0.7rem; text-align: right; white-space: nowrap; }
thead th { border-bottom: 1px solid #1a1a1a; }
tbody th, thead th:first-child { text-align: left; font-weight: 400; }
strong { font-weight: 700; }
u { text-underline-offset: 0.15em; }
.deviation { color: #555; }
.claim { border-left: 4px solid #0072b2; padding-left: 1rem; }
.failed { border-left: 4px solid #d55e00; padding-left: 1rem; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption, .source { color: #444; font-size: 0.9rem; }
pre { background: #f4f4f4; padding: 0.75rem; overflow-x: auto; font-size: 0.8rem; }
@page { size: landscape; margin: 1cm; }
@media print { body { max-width: none; margin: 0; } details { display: none; } h2 { break-before: page; }
  .scroll { overflow: visible; } table { font-size: 0.55rem; } th, td { padding: 0.1rem 0.25rem; } }
"""


def write_report(
    path: Path,
    outputs: Sequence[Output],
    measured: Mapping[str, Sequence[Measured]],
    context: Context,
    commands: Mapping[str, str],
) -> None:
    """Write the page; nothing in it points to another file or place.

    Args:
        path: the HTML file.
        outputs: what was made.
        measured: the runs behind it, by experiment.
        context: the data.
        commands: how each experiment is made again, by its name.
    """
    title = f"DRepMRec on {context.label}"
    links = "".join(
        f'<li><a href="#{html.escape(each.spec.name)}">{html.escape(each.spec.name)}: '
        f"{html.escape(each.spec.title)}</a></li>\n"
        for each in outputs
    )
    models = list(dict.fromkeys(row.model for output in outputs for row in output.spec.rows))
    sections = [_section(each, measured[each.spec.name], commands[each.spec.name]) for each in outputs]
    page = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>',
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="failed">{SHORT}</p>' if context.short else "",
        _scroll(_provenance(context, models).to_html()),
        f"<nav><ul>{links}</ul></nav>",
        *sections,
        "</body></html>\n",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(page), encoding="utf-8")


def _provenance(context: Context, models: Sequence[str]) -> Table:
    sources = {model: settings_source(model, context.source, context.settings) for model in models}
    facts = {
        "data": context.source,
        "modalities": ", ".join(context.modalities or modalities(context.data)) or "none",
        "fingerprint of the data": context.fingerprint,
        **{f"settings of {model}": source for model, source in sources.items()},
        **(
            {"set for every run": ", ".join(f"{k}: {v}" for k, v in context.overrides.items())}
            if context.overrides
            else {}
        ),
        **versions(),
    }
    return Table("Made from", ["", ""], [[Cell(name), Cell(value)] for name, value in facts.items()])


def _section(output: Output, measured: Sequence[Measured], command: str) -> str:
    spec = output.spec
    parts = [f'<section id="{html.escape(spec.name)}"><h2>{html.escape(f"{spec.name}: {spec.title}")}</h2>']
    if spec.source:
        parts.append(f'<p class="source">{html.escape(spec.source)}</p>')
    if spec.claim:
        whose = "The paper's claim" if spec.source else "Claim"
        parts.append(f'<p class="claim">{whose}: {html.escape(spec.claim)}</p>')
    parts += [f'<p class="failed">Failed: {html.escape(failure)}</p>' for failure in output.failures]
    first, *others = [_scroll(table.to_html()) for table in output.tables] or [""]
    parts.append(first)
    if output.figure is not None:
        parts.append(_picture(output.figure, spec.title, output.caption))
    parts += [f"<p>{html.escape(note)}</p>" for note in output.notes]
    parts += others
    if output.tests:
        parts.append(f"<details><summary>Paired tests over users</summary>{_scroll(_tests(output.tests))}</details>")
    if measured:
        parts.append(f"<details><summary>Runs and settings</summary>{_runs(measured)}</details>")
    parts.append(f"<p>Again:</p><pre>{html.escape(command)}</pre></section>")
    return "\n".join(parts)


def _picture(figure: Path, title: str, caption: str) -> str:
    # As an image its ids cannot meet those of another picture, and its namespaces are no links.
    content = base64.b64encode(figure.with_name(figure.name + ".svg").read_bytes()).decode()
    return (
        f'<figure><img alt="{html.escape(title)}" src="data:image/svg+xml;base64,{content}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _tests(tests: Sequence[Mapping[str, Any]]) -> str:
    def show(value: Any) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return Table("", list(tests[0]), [[Cell(show(value)) for value in row.values()] for row in tests]).to_html()


def _runs(measured: Sequence[Measured]) -> str:
    parts = []
    for each in measured:
        name = " ".join(map(str, (each.row, *each.point)))
        for place in each.places:
            result = read_result(place.folder)
            told = (
                f"seed {result['seed']}, best epoch {result['best_epoch']} of {result['epochs']}, "
                f"{result['seconds']:.0f} s, {result['num_parameters']:,} parameters, {place.folder}"
            )
            parts.append(f"<p>{html.escape(f'{name}: {told}')}</p>")
        if each.places:
            parts.append(
                f"<pre>{html.escape(yaml.safe_dump(each.places[0].experiment.to_config(), sort_keys=False))}</pre>"
            )
    return "\n".join(parts)


def _scroll(table: str) -> str:
    return f'<div class="scroll">{table}</div>'
