"""CTK's widgets."""

from __future__ import annotations

from .qt_dialogs import QMessageBox
from .qt_inputs import Number, number_property
from .qt_widgets import Button, QWidget, boolean
from .signals import Signal
from .strict import Property, setter


class ctkCollapsibleButton(Button, listed_as="ctk.ctkCollapsibleButton"):
    """A section that opens and closes; collapsed, its content is not visible."""

    @property
    def collapsed(self) -> bool:
        return self._d.values.get("collapsed", False)

    @collapsed.setter
    def collapsed(self, value: bool) -> None:
        value = boolean(value, "ctk.ctkCollapsibleButton.collapsed")
        if value != self.collapsed:
            self._d.values["collapsed"] = value
            self.toggled.emit(not value)

    def toggle(self) -> None:
        self.collapsed = not self.collapsed

    def click(self) -> None:
        if self.enabled:
            self.toggle()
            self.clicked.emit(not self.collapsed)

    def _shows_children(self) -> bool:
        return not self.collapsed


class ctkSliderWidget(Number, listed_as="ctk.ctkSliderWidget"):
    """A slider with a number field.

    Without tracking every change, one from code too, is told as a change in progress first (ctkSliderWidget.cpp,
    setSpinBoxValue).
    """

    minimum, maximum, value = (number_property(name) for name in ("minimum", "maximum", "value"))
    decimals = Property(2)
    singleStep = Property(1.0)
    pageStep = Property(10.0)
    tracking = Property(True)
    prefix = Property("")
    suffix = Property("")
    valueChanged = Signal("valueChanged(double)")
    valueIsChanging = Signal("valueIsChanging(double)")
    setValue = setter("value")

    def _tell(self, value: float) -> None:
        if not self.tracking:
            self.valueIsChanging.emit(value)
        super()._tell(value)


class ctkPathLineEdit(QWidget, listed_as="ctk.ctkPathLineEdit"):
    """A path with a browse button and a history."""

    currentPath = Property("", notify="currentPathChanged")
    currentPathChanged = Signal("currentPathChanged(QString)")
    sizeAdjustPolicy = Property(None)
    minimumContentsLength = Property(0)


class ctkMessageBox(QMessageBox, listed_as="ctk.ctkMessageBox"):
    """A message box that may be silenced; `answers` of `qt_dialogs` answers it. slicer.util asks with it."""

    dontShowAgainSettingsKey = Property("")
