"""`slicer.parameterNodeWrapper` on a real vtkMRMLScriptedModuleNode: typed parameters, validated, bound to widgets.

Slicer's own is Python on top of Qt and is not part of slicer-core. This one has what can be seen from outside: the
same parameter names and texts in the node (so scenes load in Slicer), the same refusals of values out of range or of
the wrong type, the same pairs of type and widget.
"""

from __future__ import annotations

import typing
import weakref
from types import ModuleType
from typing import Annotated, Any

import slicer
from vtkmodules.vtkCommonCore import vtkCommand

from . import ctk_widgets, mrml_widgets, qt_widgets
from .strict import names_of

SlicerParameterNamePropertyName = "SlicerParameterName"


class Validator:
    """Base of what `Annotated` may hold to limit a parameter."""

    def validate(self, value: Any) -> None:
        """Raise ValueError for a value that may not be."""


class WithinRange(Validator):
    """Between two bounds, both included."""

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class _Parameter:
    """One parameter: its type, limits and default, and how it is written into the node."""

    def __init__(self, name: str, annotated: Any, assigned: Any) -> None:
        self.name = name
        self.kind, *self.annotations = (
            typing.get_args(annotated) if typing.get_origin(annotated) is Annotated else (annotated,)
        )
        self.is_node = isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)
        if not self.is_node and self.kind not in (bool, int, float, str):
            raise NotImplementedError(f"The double knows no parameters of type {self.kind} ({name}).")
        own_default = None if self.is_node else self.kind()
        self.default = own_default if assigned is ... else assigned

    def write(self, node: Any, value: Any) -> None:
        accepted = {float: (int, float)}.get(self.kind, self.kind)
        if value is None and not self.is_node:
            raise ValueError(f"Value must not be None ({self.name})")
        if value is not None and not isinstance(value, accepted):
            raise TypeError(f"Value of {self.name} must be of type {self.kind}, is {value!r}")
        for annotation in self.annotations:
            if isinstance(annotation, Validator):
                annotation.validate(value)
        if self.is_node:
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(self.name, str(value))

    def read(self, node: Any) -> Any:
        if not node.HasParameter(self.name):
            self.write(node, self.default)
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return text == "True" if self.kind is bool else self.kind(text)


def parameterNodeWrapper(classtype: type | None = None) -> Any:
    """Class decorator: make the annotated names properties of a parameter node."""
    if classtype is None:
        return parameterNodeWrapper
    parameters = {
        name: _Parameter(name, annotated, getattr(classtype, name, ...))
        for name, annotated in typing.get_type_hints(classtype, include_extras=True).items()
    }
    for parameter in parameters.values():
        setattr(classtype, parameter.name, _as_property(parameter))
    for name, member in vars(_Wrapper).items():
        if not name.startswith("__") or name == "__init__":
            if name in parameters:
                raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
            setattr(classtype, name, member)
    classtype.allParameters = parameters
    return classtype


def _as_property(parameter: _Parameter) -> property:
    return property(
        lambda self: self._cached[parameter.name].value,
        lambda self, value: self._cached[parameter.name].write(value),
    )


class _Cached:
    """A parameter's value as it was when the node last told that it was modified, which is all that Slicer's tells."""

    def __init__(self, parameter: _Parameter, node: Any) -> None:
        self._parameter, self._node = parameter, node
        self._is_writing = False
        self.value = parameter.read(node)
        cached = weakref.ref(self)
        self._tag = node.AddObserver(vtkCommand.ModifiedEvent, lambda caller, event: cached()._on_modified())

    def __del__(self) -> None:
        self._node.RemoveObserver(self._tag)

    def write(self, value: Any) -> None:
        self._is_writing = True
        try:
            with slicer.util.NodeModify(self._node):
                self._parameter.write(self._node, value)
                self.value = self._parameter.read(self._node)
        finally:
            self._is_writing = False

    def _on_modified(self) -> None:
        if not self._is_writing:
            self.value = self._parameter.read(self._node)


class _Wrapper:
    """The methods that every wrapper gets, with the fault of Slicer 5.10: see `disconnectGui`."""

    def __init__(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._guis: dict[int, list[tuple[str, _Binding]]] = {}
        self._is_updating = False
        for parameter in self.allParameters.values():
            if not parameterNode.HasParameter(parameter.name):
                parameter.write(parameterNode, parameter.default)
        self._cached = {name: _Cached(parameter, parameterNode) for name, parameter in self.allParameters.items()}

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        for name in mapping:
            if name not in self.allParameters:
                raise ValueError(f"Cannot find a param with the given name: {name}")
        bindings = [(name, _Binding(widget, self.allParameters[name])) for name, widget in mapping.items()]
        tag = max(self._guis, default=-1) + 1
        for name, binding in bindings:
            binding.write(getattr(self, name))
            binding.watch(lambda name=name, binding=binding: self._take(name, binding))
        self.AddObserver(vtkCommand.ModifiedEvent, lambda caller, event: self._show())
        self._guis[tag] = bindings
        return tag

    def disconnectGui(self, tag: int) -> None:
        """Let the widgets go; as in Slicer 5.10, the observer stays on the node."""
        for _, binding in self._guis.pop(tag, ()):
            binding.watch(None)

    def _take(self, name: str, binding: _Binding) -> None:
        if not self._is_updating:
            setattr(self, name, binding.read())

    def _show(self) -> None:
        if self._is_updating:
            return
        self._is_updating = True
        try:
            for bindings in list(self._guis.values()):
                for name, binding in bindings:
                    binding.write(getattr(self, name))
        finally:
            self._is_updating = False

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)


class _Binding:
    """A widget and a parameter that show the same; the pairs are those of Slicer's guiConnectors."""

    PAIRS: typing.ClassVar = {
        (bool, qt_widgets.QCheckBox): ("checked", "stateChanged"),
        (bool, qt_widgets.QPushButton): ("checked", "toggled"),
        (float, ctk_widgets.ctkSliderWidget): ("value", "valueChanged"),
    }

    def __init__(self, widget: Any, parameter: _Parameter) -> None:
        self._widget, self._parameter, self._callback = widget, parameter, None
        if parameter.is_node and type(widget) is mrml_widgets.qMRMLNodeComboBox:
            widget.nodeTypes = (parameter.kind.__name__,)
            self._attribute, self._signal = "", widget.currentNodeChanged
            return
        try:
            self._attribute, signal = self.PAIRS[parameter.kind, type(widget)]
        except KeyError:
            message = f"Unable to create GUI connector from datatype {parameter.kind} to widget {type(widget)}"
            raise RuntimeError(message) from None
        self._signal = getattr(widget, signal)
        self._apply_limits()

    def read(self) -> Any:
        if not self._attribute:
            return self._widget.currentNode()
        return self._parameter.kind(getattr(self._widget, self._attribute))

    def write(self, value: Any) -> None:
        if not self._attribute:
            self._widget.setCurrentNode(value)
        else:
            setattr(self._widget, self._attribute, value)

    def watch(self, callback: Any) -> None:
        if callback is None:
            self._signal.disconnect(self._changed)
        self._callback = callback
        if callback is not None:
            self._signal.connect(self._changed)

    def _changed(self) -> None:
        if self._callback is not None:
            self._callback()

    def _apply_limits(self) -> None:
        is_bounded = False
        for annotation in self._parameter.annotations:
            if isinstance(annotation, WithinRange):
                self._widget.minimum, self._widget.maximum = annotation.minimum, annotation.maximum
                is_bounded = True
        if type(self._widget) is ctk_widgets.ctkSliderWidget and not is_bounded:
            raise RuntimeError("Cannot have a connection to ctkSliderWidget where the float types is unbounded.")


def as_module() -> ModuleType:
    """Return `slicer.parameterNodeWrapper`: a package in Slicer, of which this has the listed names that it knows."""
    module = ModuleType("slicer.parameterNodeWrapper")
    for thing in (parameterNodeWrapper, Validator, WithinRange):
        assert thing.__name__ in names_of(module.__name__), thing.__name__
        setattr(module, thing.__name__, thing)
    module.SlicerParameterNamePropertyName = SlicerParameterNamePropertyName
    return module
