"""The modules of a package: their trees, and what their names are."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass
class Module:
    """A module's imports, functions and classes. names: what each name in it is, as module or module.attribute."""

    name: str
    tree: ast.Module
    names: dict[str, str] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)


def modules(root: Path, package: str) -> Iterator[tuple[str, Module]]:
    """Every module of a package below `root`, by its dotted name."""
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        module = Module(name, ast.parse(path.read_text()))
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom):
                base = name.split(".")[: len(name.split(".")) - node.level + is_package] if node.level else []
                source = ".".join([*base, *([node.module] if node.module else [])])
                module.imports.add(source)
                for alias in node.names:
                    module.names[alias.asname or alias.name] = f"{source}.{alias.name}"
                    module.imports.add(f"{source}.{alias.name}")
        yield name, module
