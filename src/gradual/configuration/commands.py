"""``kedro run`` and ``kedro package`` with what this project adds, and ``kedro gradual …``."""

import copy
import functools
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import yaml
from kedro.framework.cli import project as kedro_commands
from kedro.framework.cli.utils import call, env_option
from kedro.framework.project import pipelines, settings
from kedro.framework.startup import ProjectMetadata
from kedro.io.catalog_config_resolver import CatalogConfigResolver

from gradual.configuration.checks import groups_of, pipelines_of
from gradual.configuration.errors import ConfigurationError, nearest
from gradual.configuration.loader import ConfigLoader
from gradual.retraining.errors import Stop
from gradual.tracking.environment import without_passwords

if TYPE_CHECKING:
    from gradual.retraining.history import History

logger = logging.getLogger("gradual")
LOGS = Path("logs")


def reported(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command with its errors as one message at the end of the log.

    The traceback goes to a file that the message names; the exit status is 1. A retrain that goes
    no further ends with one line, too, and with a status of its own (`gradual.retraining.errors`);
    where there is nothing to do, with the one that the environment's `GRADUAL_NOTHING_TO_DO` says,
    for a scheduler that runs node by node and has to skip the rest.
    """

    @functools.wraps(callback)
    def run(*args: Any, **kwargs: Any) -> Any:
        # Kedro logs a node's error as well, above its advice on how to go on.
        logging.getLogger("kedro.pipeline.node").addFilter(_is_no_error)
        logging.getLogger("kedro.validation.parameter_validator").addFilter(_is_no_error)
        logging.getLogger("kedro.runner.sequential_runner").addFilter(_is_not_of_a_stop)
        try:
            return callback(*args, **kwargs)
        except click.ClickException:
            raise
        except Stop as stop:
            logger.log(logging.ERROR if stop.exit_code else logging.INFO, "%s", stop)
            sys.exit(stop.exit_code or int(os.environ.get("GRADUAL_NOTHING_TO_DO", "0")))
        except ConfigurationError as error:
            logger.error("%s", error)
            sys.exit(1)
        except Exception as error:
            said = without_passwords(message_of(error))
            logger.error("%s\n(traceback: %s)", said, _keep_traceback(error))
            sys.exit(1)

    return run


def message_of(error: BaseException) -> str:
    """Return an error's message; with its type, if nobody wrote it for a reader."""
    text = str(error).strip()
    if text and isinstance(error, ValueError | OSError | RuntimeError | ImportError):
        return text
    if text and type(error).__module__.startswith(("gradual", "kedro")):
        return text
    return f"{type(error).__name__}: {text}"


def _is_no_error(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR


def _is_not_of_a_stop(record: logging.LogRecord) -> bool:  # noqa: ARG001
    """Whether it is anything but advice on how to go on after a stop, which is an end."""
    return not isinstance(sys.exc_info()[1], Stop)


def _keep_traceback(error: BaseException) -> Path:
    LOGS.mkdir(exist_ok=True)
    path = LOGS / time.strftime("error_%Y-%m-%d_%H-%M-%S.log")
    text = without_passwords("".join(traceback.format_exception(error)))
    path.write_text(text, encoding="utf-8")
    return path


run = copy.copy(kedro_commands.run)
run.callback = reported(cast("Callable[..., Any]", kedro_commands.run.callback))


@click.command()
@click.pass_context
def package(context: click.Context) -> None:
    """Make the wheel, the archive of `conf/`, and one of the embedded samples, in `dist/`."""
    context.forward(kedro_commands.package)
    project = context.obj.project_path
    samples = [path.relative_to(project) for path in project.glob("data/01_raw/*_sample")]
    archive = project / "dist" / f"data-{context.obj.package_name}.tar.gz"
    call(["tar", "-czf", str(archive), f"--directory={project}", *map(str, sorted(samples))])


@click.group()
def gradual() -> None:
    """Look at sources as they are configured, and at their retrains."""


@gradual.command()
@click.argument("source")
@env_option
@click.pass_obj
@reported
def show(metadata: ProjectMetadata, source: str, env: str | None) -> None:
    r"""Print what becomes of a SOURCE: its pipelines, parameters and files.

    SOURCE is a name in conf/base/sources.yml, or a variant such as imdb_backwards. The parameters
    are those that its nodes get: the recipe, under what the source's files and the environment say.
    The output is YAML.

    \b
    kedro gradual show adult
    kedro gradual show imdb_backwards --env=full
    """
    with settings.SESSION_CLASS.create(metadata.project_path, env=env) as session:
        loader = session.load_context().config_loader
    runs = loader.runs
    if source not in runs:
        raise ConfigurationError(
            f"there is no source {source}.{nearest(source, runs)} conf/base/sources.yml lists "
            f"them; with their variants they are {', '.join(runs)}"
        )
    made = {name: pipelines[name] for name in pipelines_of(runs[source])}
    own = f"{source}."
    names = [name for name, each in made.items() if any(d.startswith(own) for d in each.datasets())]
    groups = groups_of(made[name] for name in names).get(source, {})
    parameters = loader["parameters"][source]
    said = {
        "source": source,
        "kind": runs[source].source.kind,
        "pipelines": names,
        "parameters": {source: {name: parameters.get(name) for name in sorted(groups)}},
        "files": _files({d for name in names for d in made[name].datasets()}, own, loader),
    }
    click.echo(yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=120), nl=False)


@gradual.command()
@click.argument("source")
@click.option("--last", default=10, show_default=True, help="How many retrains.")
@env_option
@click.pass_obj
@reported
def history(metadata: ProjectMetadata, source: str, last: int, env: str | None) -> None:
    r"""Print what became of the last retrains of a SOURCE.

    \b
    kedro gradual history adult
    kedro gradual history adult --last=30 --env=full
    """
    import pandas as pd

    from gradual.retraining import report

    name, _, kept = _retrain_of(metadata, source, env)
    records = kept.records()
    if not records:
        click.echo(f"{name} has not run yet in this environment: `kedro run --pipeline={name}`")
        return
    shown = report.table(records[-last:])
    with pd.option_context("display.width", None, "display.max_colwidth", None):
        click.echo(shown.drop(columns="Why").to_string(index=False))
    click.echo(f"\nThe last: {shown['Why'].iloc[-1]}")


@gradual.command()
@click.argument("source")
@env_option
@click.pass_obj
@reported
def rollback(metadata: ProjectMetadata, source: str, env: str | None) -> None:
    r"""Make the champion before this one the champion of a SOURCE again.

    The aliases `champion` and `previous` of its registered model change places; a second rollback
    takes back the first.

    \b
    kedro gradual rollback adult
    """
    from gradual.pipelines.retraining import records

    _, registered, kept = _retrain_of(metadata, source, env)
    click.echo(records.roll_back(source, registered, kept)["message"])


def _retrain_of(
    metadata: ProjectMetadata, source: str, env: str | None
) -> tuple[str, str, "History"]:
    """Return the name of a source's retrain, of its registered model, and its history."""
    from gradual.retraining.history import History

    with settings.SESSION_CLASS.create(metadata.project_path, env=env) as session:
        loader = session.load_context().config_loader
    names = [run.source.name for run in loader.runs.values() if run.variant == "retrain"]
    if source not in names:
        raise ConfigurationError(
            f"there is no source {source} that can be retrained.{nearest(source, names)} These are "
            f"{', '.join(names)}"
        )
    name = f"{source}_retrain"
    folder = metadata.project_path / loader["catalog"][f"{name}.history"]["filepath"]
    return name, loader["parameters"][name]["retrain"]["registered_name"], History(folder)


def _files(datasets: Iterable[str], prefix: str, loader: ConfigLoader) -> dict[str, str]:
    """Return where each of a source's datasets lies, by name."""
    catalog = CatalogConfigResolver(loader["catalog"], default_runtime_patterns={"{name}": {}})
    files = {}
    for name in sorted(datasets):
        entry = catalog.resolve_pattern(name) if name.startswith(prefix) else {}
        place = entry.get("filepath") or entry.get("url") or entry.get("table")
        if place:
            files[name] = place
    return files
