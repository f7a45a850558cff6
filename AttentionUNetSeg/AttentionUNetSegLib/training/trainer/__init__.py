"""Training a model from labelled scans: `train` and everything it is made of."""

from .configuration import TrainingConfiguration
from .folds import patients_of_fold
from .preparation import is_prepared
from .progress import StepReport, TrainingReporter
from .training_run import train

__all__ = ["StepReport", "TrainingConfiguration", "TrainingReporter", "is_prepared", "patients_of_fold", "train"]
