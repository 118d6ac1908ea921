"""Sphinx: MyST pages, furo, and what the package says of itself (docs/_ext)."""

import sys
import warnings
from pathlib import Path

from drepm_pyg import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.insert(1, str(Path(__file__).parents[1] / "benchmarks"))  # how the benchmarks print numbers
# torch_geometric 2.8 scripts classes while it is imported.
warnings.filterwarnings("ignore", message=".torch\\.jit\\.", category=DeprecationWarning)

project = "drepm_pyg"
author = "The drepm_pyg contributors"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "benchmark_tables",
    "package_pages",
]
exclude_patterns = ["_build"]
nitpicky = False  # the classes of torch and PyG have no pages here

myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Shapes", "Reference"]

html_theme = "furo"
html_title = "drepm_pyg"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2867b2", "color-brand-content": "#2867b2"},
    "dark_css_variables": {"color-brand-primary": "#6cb0f5", "color-brand-content": "#6cb0f5"},
}
html_show_copyright = False
