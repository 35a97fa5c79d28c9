"""What a model needs to run elsewhere: the files of this package that it imports, and packages."""

from __future__ import annotations

import ast
import shutil
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING

from gradual.models.model import KINDS, class_of

if TYPE_CHECKING:
    from gradual.training.bundle import Bundle

_PACKAGE = Path(__file__).parents[1]
#: The script that MLflow copies beside a model's bundle.
SCRIPT = _PACKAGE / "models" / "mlflow_script.py"


def copy_code(kind: str, folder: Path) -> Path:
    """Copy the modules that a kind of model imports.

    Args:
        kind: Of a bundle.
        folder: Where to put the package.

    Returns:
        The copy of the package in ``folder``.
    """
    target = folder / _PACKAGE.name
    for path in _closure(kind)[0]:
        copy = target / path.relative_to(_PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return target


def requirements(bundle: Bundle) -> list[str]:
    """Return what pip must install for a bundle's model: the installed versions, sorted.

    A local part of a version such as `+cpu`, which no registry has, is left out.
    """
    _, imported = _closure(bundle.kind)
    of = packages_distributions()
    names = {of[name][0].lower() for name in imported if name in of}
    names |= class_of(bundle.kind).requirements(bundle) | {"mlflow"}
    return [f"{name}=={version(name).partition('+')[0]}" for name in sorted(names)]


def _closure(kind: str) -> tuple[set[Path], set[str]]:
    """The files of this package that a model needs, and what those import of others at once.

    Imports of this package inside functions count, those of others do not: `Model.requirements`
    says which of them a model comes to.
    """
    files, foreign = {_PACKAGE / "__init__.py"}, set[str]()
    waiting = [*_Imports.of(SCRIPT).own, KINDS[kind].partition(":")[0]]
    while waiting:
        parts = waiting.pop().split(".")
        for depth in range(2, len(parts) + 1):  # the packages on the way are executed, too
            path = _PACKAGE.joinpath(*parts[1:depth])
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            if path.exists() and path not in files:
                files.add(path)
                found = _Imports.of(path)
                foreign |= found.foreign
                waiting += found.own
    return files, foreign - set(sys.stdlib_module_names)


class _Imports(ast.NodeVisitor):
    """The modules that a file imports, but those for type checkers only."""

    def __init__(self) -> None:
        self.own, self.foreign = set[str](), set[str]()
        self._later = False

    @classmethod
    def of(cls, path: Path) -> _Imports:
        found = cls()
        found.visit(ast.parse(path.read_bytes()))
        return found

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:  # a name may be a module
            self._add(f"{node.module}.{alias.name}")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        before, self._later = self._later, True
        self.generic_visit(node)
        self._later = before

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)

    def _add(self, name: str) -> None:
        package = name.partition(".")[0]
        if package == _PACKAGE.name:
            self.own.add(name)
        elif not self._later:
            self.foreign.add(package)
