"""Many CTs with one command, on this machine or on any Dask cluster: a folder a case, and one table of all.

Needs Dask distributed (`pip install 'attention-unet-seg[cohort]'`); the workers need no Slicer library.
"""

from .case import Case, part_of
from .case_run import Order, Outcome, run_case
from .cluster import Cluster, joined_cluster, local_cluster
from .engine import Progress, run_cases
from .finding import find_cases
from .page import write_page
from .table import by_doubt, rows_of, write_table

__all__ = [
    "Case",
    "Cluster",
    "Order",
    "Outcome",
    "Progress",
    "by_doubt",
    "find_cases",
    "joined_cluster",
    "local_cluster",
    "part_of",
    "rows_of",
    "run_case",
    "run_cases",
    "write_page",
    "write_table",
]
