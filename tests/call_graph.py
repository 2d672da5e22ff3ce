"""Which function calls which, as far as the source says it.

Calls are followed where the source says what is called: by a name, by an attribute whose class an annotation gives, or
by the class that an annotated function answers. What is called otherwise is not followed.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.source_modules import ROOT, Module, modules

Def = ast.FunctionDef | ast.AsyncFunctionDef
_HANDS_MAX = 8  #: Through so many parameters and attributes a callable is followed.
_CALLABLE = re.compile(r"\bCallable\b|\b(Submit|Fetch|Offsets|CallRedis|OnConnect)\b")


class Callback(NamedTuple):
    """A function's call of a value, by the value's name, and a function that it may be. is_climb: of a module above."""

    caller: str
    value: str
    target: str
    is_climb: bool


class Value(NamedTuple):
    """A function that a callable may be. giver: who passes it on, if that is done anew with each call."""

    target: str
    giver: str | None


class Code:
    """The application's source, by dotted names: `app.read.stats.StatsHandlers.of`."""

    def __init__(self, root: Path = ROOT, package: str = "app") -> None:
        self.modules = dict(modules(root, package))
        self.functions: dict[str, Def | ast.Lambda] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        self.by_class_name: dict[str, str] = {}
        self.module_of: dict[str, str] = {}
        for module in self.modules.values():
            self._collect(module, module.tree, module.name)
        self._values = self._given_values()

    def _collect(self, module: Module, node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}.{child.name}"
                self.module_of[name] = module.name
                if isinstance(child, ast.ClassDef):
                    self.classes[name] = child
                    self.by_class_name[child.name] = name
                else:
                    self.functions[name] = child
            elif isinstance(child, ast.Lambda):
                name = f"{prefix}.<lambda {child.lineno}:{child.col_offset}>"
                self.functions[name] = child
                self.module_of[name] = module.name
            self._collect(module, child, name)

    # What a name or an attribute is.

    def class_in(self, annotation: ast.expr | None) -> str | None:
        """The one class of ours that an annotation names."""
        words = re.findall(r"\w+", ast.unparse(annotation)) if annotation is not None else []
        ours = {self.by_class_name[word] for word in words if word in self.by_class_name}
        return ours.pop() if len(ours) == 1 else None

    @cache  # noqa: B019  # one of them lives as long as the command
    def attributes(self, cls: str) -> Mapping[str, ast.expr]:
        """A class's attributes with their annotations: fields, and what `__init__` takes from its parameters."""
        annotations: dict[str, ast.expr] = {}
        for child in self.classes[cls].body:
            if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
                annotations[child.target.id] = child.annotation
        init = self.functions.get(f"{cls}.__init__")
        if isinstance(init, ast.FunctionDef):
            parameters = {arg.arg: arg.annotation for arg in _arguments(init)}
            for node in ast.walk(init):
                target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
                if not (isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self"):
                    continue
                if isinstance(node, ast.AnnAssign):
                    annotations[target.attr] = node.annotation
                elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
                    if annotation := parameters.get(node.value.id):
                        annotations[target.attr] = annotation
                elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                    annotations[target.attr] = node.value.func
        return annotations

    def method(self, cls: str, name: str) -> str | None:
        """A method of a class or of its bases."""
        if f"{cls}.{name}" in self.functions:
            return f"{cls}.{name}"
        bases = (self.class_in(base) for base in self.classes[cls].bases)
        return next((place for base in bases if base and (place := self.method(base, name))), None)

    # Calls.

    @cache  # noqa: B019
    def _calls_of(self, function: str) -> tuple[set[str], set[str]]:
        """The functions that one calls by name, and the places of the values that it calls."""
        scope = Scope(self, function)
        named, values = set[str](), set[str]()
        for node in _own_nodes(self.functions[function]):
            if isinstance(node, ast.Call):
                if target := scope.function(node.func):
                    named.add(target)
                elif value := scope.value(node.func):
                    values.add(value)
        return named, values

    def _given_values(self) -> dict[str, set[Value]]:
        """The functions that callables may be, by place: `function.parameter` or `class.attribute`."""
        values: dict[str, set[Value]] = {}
        handed: list[tuple[str, str]] = []
        for name, function in self.functions.items():
            scope = Scope(self, name)
            for node in _own_nodes(function):
                for place, value in self._arguments_of(scope, node) if isinstance(node, ast.Call) else ():
                    if target := scope.function(value):
                        giver = None if _is_stored(place) or place.rpartition(".")[0] in self.classes else name
                        values.setdefault(place, set()).add(Value(target, giver))
                    elif origin := scope.value(value):
                        handed.append((place, origin))
        for cls in self.classes:
            init = self.functions.get(f"{cls}.__init__")
            for node in ast.walk(init) if init is not None else ():
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
                    target_node = node.targets[0]
                    if isinstance(target_node, ast.Attribute) and ast.unparse(target_node.value) == "self":
                        handed.append((f"{cls}.{target_node.attr}", f"{cls}.__init__.{node.value.id}"))
        for _ in range(_HANDS_MAX):
            for place, origin in handed:
                values.setdefault(place, set()).update(values.get(origin, ()))
        return values

    def _arguments_of(self, scope: "Scope", call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "append" and call.args:
            if place := scope.attribute(call.func.value):
                yield place, call.args[0]
            return
        target = scope.function(call.func)
        if target is None:
            cls = self.class_in(call.func)
            target = self.method(cls, "__init__") if cls else None
            fields = [*self.attributes(cls)] if cls and target is None else []
            for keyword in call.keywords:
                if cls and keyword.arg in fields:
                    yield f"{cls}.{keyword.arg}", keyword.value
        if target is None:
            return
        names = [arg.arg for arg in _arguments(self.functions[target]) if arg.arg not in ("self", "cls")]
        for parameter, value in zip(names, call.args, strict=False):
            if not isinstance(value, ast.Starred):
                yield f"{target}.{parameter}", value
        for keyword in call.keywords:
            yield f"{target}.{keyword.arg}", keyword.value

    # What the command tells.

    def reached(self, function: str) -> tuple[set[str], set[Callback]]:
        """The functions that a call of one reaches, itself included, and those of their calls that are of values."""
        reached, callbacks, size = {function}, set[Callback](), 0
        while size != len(reached):
            size = len(reached)
            for caller in sorted(reached):
                named, values = self._calls_of(caller)
                reached |= named
                for place in values:
                    for target, giver in self._values.get(place, ()):
                        if giver is None or giver in reached:
                            reached.add(target)
                            is_climb = self.is_above(self.module_of[target], self.module_of[caller])
                            callbacks.add(Callback(caller, place.rpartition(".")[2], target, is_climb))
        return reached, callbacks

    def is_above(self, one: str, other: str) -> bool:
        """Whether a module imports another one, itself or through others, and is not imported by it."""
        return one != other and other in self.below(one) and one not in self.below(other)

    @cache  # noqa: B019
    def below(self, module: str) -> frozenset[str]:
        """All that a module imports, itself or through others."""
        modules, waiting = set[str](), [module]
        while waiting:
            for imported in self.modules[waiting.pop()].imports & self.modules.keys():
                if imported not in modules:
                    modules.add(imported)
                    waiting.append(imported)
        return frozenset(modules)


class Scope:
    """What the names in one function are."""

    def __init__(self, code: Code, function: str) -> None:
        self.code, self.name = code, function
        self.module = code.modules[code.module_of[function]]
        self.locals: dict[str, str] = {}  # a local name's class
        for node in _own_nodes(code.functions[function]):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                cls = self.class_of(node.value)
                self.locals |= {node.targets[0].id: cls} if cls else {}

    def _enclosing(self) -> Iterator[str]:
        """This function and those around it, the inner one first."""
        name = self.name
        while name in self.code.functions or name in self.code.classes:
            if name in self.code.functions:
                yield name
            name = name.rpartition(".")[0]

    def owner(self) -> str | None:
        """The class whose method this is, or is within."""
        name = self.name
        while name and name not in self.code.classes:
            name = name.rpartition(".")[0]
        return name or None

    def parameter(self, name: str) -> tuple[str, ast.expr | None] | None:
        """The function around that takes a parameter of this name, with the parameter's annotation."""
        for function in self._enclosing():
            for arg in _arguments(self.code.functions[function]):
                if arg.arg == name:
                    return function, arg.annotation
        return None

    def class_of(self, node: ast.expr) -> str | None:
        """The class of an expression's value."""
        if isinstance(node, ast.Await):
            return self.class_of(node.value)
        if isinstance(node, ast.Name):
            if node.id == "self":
                return self.owner()
            if node.id in self.locals:
                return self.locals[node.id]
            taken = self.parameter(node.id)
            return self.code.class_in(taken[1]) if taken and not _is_callable(taken[1]) else None
        if isinstance(node, ast.Attribute):
            annotation = self._annotation(node)
            return None if _is_callable(annotation) else self.code.class_in(annotation)
        if isinstance(node, ast.Call):
            target = self.function_of(node.func)
            called = self.code.functions.get(target or "")
            if isinstance(called, Def):
                return self.code.class_in(called.returns)
            return self.code.class_in(node.func) if isinstance(node.func, ast.Name) else None
        return None

    def _annotation(self, node: ast.Attribute) -> ast.expr | None:
        cls = self.class_of(node.value)
        return self.code.attributes(cls).get(node.attr) if cls else None

    def attribute(self, node: ast.expr) -> str | None:
        """`class.attribute` of an expression."""
        cls = self.class_of(node.value) if isinstance(node, ast.Attribute) else None
        return f"{cls}.{node.attr}" if cls and isinstance(node, ast.Attribute) else None

    def function_of(self, node: ast.expr) -> str | None:
        """The function that an expression names."""
        code = self.code
        if isinstance(node, ast.Lambda):
            lambdas = (name for name, function in code.functions.items() if function is node)
            return next(lambdas, None)
        if isinstance(node, ast.Name):
            for function in self._enclosing():
                if f"{function}.{node.id}" in code.functions:
                    return f"{function}.{node.id}"
            if self.parameter(node.id):
                return None
            named = self.module.names.get(node.id, f"{self.module.name}.{node.id}")
            return named if named in code.functions else None
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and (module := self.module.names.get(node.value.id)) in code.modules:
                return full_name if (full_name := f"{module}.{node.attr}") in code.functions else None
            cls = self.class_of(node.value)
            return code.method(cls, node.attr) if cls else None
        return None

    def function(self, node: ast.expr) -> str | None:
        """The function that a call of an expression runs: of an object with `__call__` that one."""
        return self.function_of(node) or ((cls := self.class_of(node)) and self.code.method(cls, "__call__")) or None

    def value(self, node: ast.expr) -> str | None:
        """The place of a callable value: a parameter, an attribute, or the list that a loop's name comes from."""
        if isinstance(node, ast.Name):
            if taken := self.parameter(node.id):
                return f"{taken[0]}.{node.id}"
            for loop in _own_nodes(self.code.functions[self.name]):
                if isinstance(loop, ast.For) and ast.unparse(loop.target) == node.id:
                    return self.attribute(loop.iter)
            return None
        return self.attribute(node)


def _is_callable(annotation: ast.expr | None) -> bool:
    return annotation is not None and _CALLABLE.search(ast.unparse(annotation)) is not None


def _is_stored(place: str) -> bool:
    """Whether a parameter is of a function that keeps what it is given: a constructor, or one that takes a listener."""
    function = place.split(".")[-2]
    return function == "__init__" or function.startswith("subscribe")


def _arguments(function: ast.AST) -> list[ast.arg]:
    args: ast.arguments = function.args  # type: ignore[attr-defined]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs]


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """A function's nodes without those of the functions within."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from _own_nodes(child)
