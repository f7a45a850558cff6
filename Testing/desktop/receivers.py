"""Of which of Slicer's classes are the objects whose attributes a source file uses, executed or not.

Told from the source: constructors, widgets of the .ui file, what Qt's methods return, loops over tuples of those, and
what functions of the same file are called with. What cannot be told is named in `DECLARED`.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from desktop_double.strict import listed_classes, names_of

# What functions return, and what one of the things is that a list holds.
RETURNED = {
    "slicer.app.layoutManager": "slicer.qSlicerLayoutManager",
    "slicer.app.applicationLogic": "slicer.app.applicationLogic()",
    "slicer.app.moduleManager": "slicer.app.moduleManager()",
    "slicer.app.coreIOManager": "slicer.qSlicerIOManager",
}
RETURNED_BY_ANY = {
    "sizeHint": "qt.QSize", "minimumSizeHint": "qt.QSize", "layout": "qt.QVBoxLayout", "key": "qt.QKeySequence",
    "addAction": "qt.QAction", "addMenu": "qt.QMenu", "actions": "qt.QAction", "readAllStandardOutput": "qt.QByteArray",
    "readAllStandardError": "qt.QByteArray",
}  # fmt: skip
# By the expression as `ast.unparse` writes it, in any file: "x[]" for what the list x holds, "f()" for what f returns.
DECLARED = {
    "getattr(self.ui, name)": "qt.QWidget",
    "getattr(ui, f'{name}CollapsibleButton')": "ctk.ctkCollapsibleButton",
    "getattr(widget, 'editor', None)": "slicer.qMRMLSegmentEditorWidget",
    "slicer.util.getModuleWidget('SegmentEditor').editor": "slicer.qMRMLSegmentEditorWidget",
    "slicer.util.mainWindow()": "qt.QWidget",
    "self._add()": "qt.QAction",
    "self._button": "qt.QToolButton",
    "self.input.card": "qt.QMessageBox",
    "self.panel.input.card": "qt.QMessageBox",
    "self.panel.keys.shortcuts[]": "qt.QShortcut",
    "self.layout": "qt.QVBoxLayout",
    "self.shortcuts[]": "qt.QShortcut",
    "self.uiWidget": "slicer.qMRMLWidget",
    "keys[]": "qt.QShortcut",
    "old_keys[]": "qt.QShortcut",
    "keys.values()[]": "qt.QShortcut",
    "menu.menu": "qt.QMenu",
    "selector": "slicer.qMRMLNodeComboBox",
    "vars(ui).values()[]": "qt.QWidget",
    "widget.editor": "slicer.qMRMLSegmentEditorWidget",
}


@dataclass(frozen=True)
class Use:
    """One attribute of an object of one class: `is_called` as a method, `is_passed` on to somebody, or neither."""

    line: int
    owner: str
    name: str
    is_called: bool = False
    is_passed: bool = False
    keywords: tuple[str, ...] = ()


class Receivers:
    """What is known of one file.

    Parameters
    ----------
    widgets : the classes of the .ui file's widgets, "qt.QLabel", by their names.
    """

    def __init__(self, path: Path, widgets: dict[str, str]) -> None:
        self._file, self._widgets = path.name, widgets
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
        self._scopes = dict(_scoped(self._tree, ()))
        self._functions = {node.name: node for node in self._scopes if isinstance(node, ast.FunctionDef)}
        self._kinds: dict[tuple[tuple[str, ...], str], set[str]] = defaultdict(set)
        for _round in range(3):  # what one function is called with may be known only after another
            for node in self._scopes:
                self._learn(node)

    def uses(self) -> list[Use]:
        """Return every use of an attribute of an object whose class is known."""
        calls = {id(node.func): node for node in self._scopes if isinstance(node, ast.Call)}
        passed = {id(each) for call in calls.values() for each in call.args}
        found = []
        for node in self._scopes:
            if isinstance(node, ast.Attribute):
                call = calls.get(id(node))
                keywords = tuple(each.arg or "**" for each in call.keywords) if call is not None else ()
                found += [
                    Use(node.lineno, owner, node.attr.rstrip("_"), call is not None, id(node) in passed, keywords)
                    for owner in sorted(self._of(node.value))
                ]
        return found

    def untold(self, others: frozenset[str]) -> list[str]:
        """Return the uses of names that Qt, CTK or qMRML have, and not `others`, on objects of an unknown class."""
        return [
            f"line {node.lineno}: {ast.unparse(node)}"
            for node in self._scopes
            if isinstance(node, ast.Attribute) and node.attr in _NAMES - others
            if not self._of(node) and not self._is_told(node.value)
        ]

    # --- What a line tells ---

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, node.value)
        elif isinstance(node, (ast.For, ast.comprehension)):
            if isinstance(node.iter, (ast.Tuple, ast.List)):
                for element in node.iter.elts:
                    self._bind(node.target, element)
            elif isinstance(node.target, ast.Name):
                self._note(node.target, node.target.id, self._held_by(node.iter))
        elif isinstance(node, ast.arg) and node.annotation is not None:
            self._note(node, node.arg, self._of(node.annotation))
        elif isinstance(node, ast.Call):
            function = self._functions.get((_dotted(node.func) or "").removeprefix("self."))
            if function is not None:
                taken = [argument for argument in function.args.args if argument.arg != "self"]
                for argument, value in zip(taken, node.args, strict=False):
                    self._note(argument, argument.arg, self._of(value))

    def _bind(self, target: ast.AST, value: ast.AST) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for each, its in zip(target.elts, value.elts, strict=False):
                self._bind(each, its)
        elif isinstance(target, (ast.Name, ast.Attribute)):
            self._note(target, ast.unparse(target), self._of(value))

    def _note(self, node: ast.AST, name: str, kinds: set[str]) -> None:
        scope = self._scopes[node][:1] if name.startswith("self.") else self._scopes[node][:2]
        self._kinds[scope, name] |= kinds

    # --- What an expression is ---

    def _is_told(self, node: ast.AST) -> bool:
        """Whether the class of the object is known, or it comes from one whose is: a signal, what a method returns."""
        if self._of(node) or (isinstance(node, ast.Name) and node.id in ("qt", "ctk", "slicer")):
            return True
        node = node.func if isinstance(node, ast.Call) else node
        return isinstance(node, ast.Attribute) and bool(self._of(node.value))

    def _of(self, node: ast.AST) -> set[str]:
        name = ast.unparse(node)
        if name in DECLARED or (name in listed_classes() and name != "slicer.parameterNodeWrapper"):
            return {DECLARED.get(name, name)}
        if isinstance(node, ast.Subscript):
            return self._held_by(node.value)
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "next"
            and isinstance(node.args[0], ast.GeneratorExp)
        ):
            return self._of(node.args[0].elt)
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            returned = {**RETURNED, **{name: name for name in listed_classes()}}.get(function) or DECLARED.get(
                f"{function}()"
            )
            if returned is not None:
                return {returned}
        attribute = node.func if isinstance(node, ast.Call) else node
        if isinstance(attribute, ast.Attribute):
            if re.search(r"(^|\.)_?ui$", ast.unparse(attribute.value)) and attribute.attr in self._widgets:
                return {self._widgets[attribute.attr]}
            if attribute.attr in RETURNED_BY_ANY and self._of(attribute.value):
                return {RETURNED_BY_ANY[attribute.attr]}
        scope = self._scopes.get(node, ())
        return self._kinds.get((scope[: 1 if name.startswith("self.") else 2], name), set())

    def _held_by(self, node: ast.AST) -> set[str]:
        declared = DECLARED.get(f"{ast.unparse(node)}[]")
        is_list = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "actions"
        return {declared} if declared is not None else self._of(node) if is_list else set()


def _scoped(node: ast.AST, scope: tuple[str, ...]) -> Iterator[tuple[ast.AST, tuple[str, ...]]]:
    """Give every node with the names of the class and the function that it is in; a function alone counts as both."""
    yield node, scope
    for child in ast.iter_child_nodes(node):
        inner = scope
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and len(scope) < 2:
            inner = (*scope, node.name)
        yield from _scoped(child, inner)


def _dotted(node: ast.AST) -> str | None:
    return ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else None


_NAMES = frozenset().union(
    *(names_of(each) for each in listed_classes() if each.startswith(("qt.", "ctk.", "slicer.q")))
)
