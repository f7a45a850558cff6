"""Measuring a model on labelled scans: metrics, intervals, tables, pictures, comparison, calibration.

Needs the extra `train`. All numbers are of the CT's own voxels. Labels that a model made give agreement with that
model, never accuracy: such cases are summarised apart and named so everywhere.
"""

from .calibration import CalibrationCounts, count_case, reliability, spread_and_error
from .case_metrics import CaseMetrics, compare
from .case_result import CaseResult
from .chosen_patients import choose_patients
from .comparison import compare_evaluations, comparison_markdown
from .cropped_case import CroppedCase, crop_case
from .evaluation import MeasuredCase, NotEvaluated, evaluate_scans
from .evaluation_run import EvaluationOptions, evaluate_into_folder
from .performance_record import performance_entries, record_performance, record_warning_limits
from .poor_results import warning_limits
from .report import group_text
from .result_folder import check_result_folder, read_evaluation, result_folder, write_json

__all__ = [
    "evaluate_into_folder",
    "EvaluationOptions",
    "evaluate_scans",
    "MeasuredCase",
    "NotEvaluated",
    "CaseResult",
    "choose_patients",
    "crop_case",
    "CroppedCase",
    "compare",
    "CaseMetrics",
    "count_case",
    "CalibrationCounts",
    "reliability",
    "spread_and_error",
    "warning_limits",
    "performance_entries",
    "record_warning_limits",
    "record_performance",
    "compare_evaluations",
    "comparison_markdown",
    "check_result_folder",
    "result_folder",
    "read_evaluation",
    "write_json",
    "group_text",
]
