"""The model that --model names."""

from __future__ import annotations

import os
from pathlib import Path

from ..models import Catalogue, ModelPackage, load_package


def chosen_model(model: str | None) -> ModelPackage:
    """The model package of an id, of a folder, or the default one.

    Raises
    ------
    BadModel : there is no such model, or its package cannot be used.
    """
    if model is not None and (os.sep in model or Path(model, "model.json").is_file()):
        return load_package(Path(model).absolute())
    return Catalogue().get(model)
