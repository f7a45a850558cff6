"""Which packages a wheel holds; all else stands in pyproject.toml.

The bundled models are not below AttentionUNetSegLib in this repository: Slicer wants resources beside the module, a
wheel wants them inside the package. pyproject.toml cannot say "those found, and this one".
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages("AttentionUNetSeg"), "AttentionUNetSegLib.bundled_models"])
