"""Sphinx settings."""

from clipact import __version__

project = "clipact"
author = "the clipact authors"
copyright = "the clipact authors"
release = version = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
html_theme = "furo"
html_title = f"clipact {__version__}"
exclude_patterns = ["_build", "guide/_*"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_use_rtype = False
napoleon_use_ivar = True
suppress_warnings = ["myst.xref_missing"]
nitpicky = False
