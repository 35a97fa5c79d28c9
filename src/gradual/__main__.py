"""Run the project as a program, packaged or not: ``python -m gradual --pipeline=imdb``.

The arguments are those of ``kedro run``; those of ``kedro gradual`` go, too: ``python -m gradual
show imdb``. Folders are relative to the current one, also `conf/`, unless ``--conf-source`` names
another, or the archive that ``kedro package`` has made.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kedro.framework.project import configure_project


def main(arguments: Sequence[str] | None = None, **options: Any) -> Any:
    """Configure the project and hand the arguments to the command that they name, else to ``run``.

    Args:
        arguments: Those of a command line; None takes the ones that the process was given.
        options: For click's ``main``.
    """
    configure_project(Path(__file__).parent.name)
    from gradual.configuration.commands import gradual, run  # reads the configured project

    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command = gradual if arguments[:1] and arguments[0] in gradual.commands else run
    # What Kedro reads of a project's pyproject.toml, where there may be none.
    options.setdefault("obj", SimpleNamespace(project_path=Path.cwd()))
    # An interactive interpreter must survive the end of the run; a shell wants its exit status.
    options.setdefault("standalone_mode", not hasattr(sys, "ps1"))
    return command(arguments, **options)


if __name__ == "__main__":
    main()
