"""How a source is retrained: the group `retrain` of its parameters."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gradual.training.settings import Settings


@dataclass(frozen=True)
class Notify(Settings):
    """Who is told of the end of each retrain; with neither, nobody.

    Attributes:
        command: Is run by the shell, with the record's JSON on its standard input.
        url: Is sent the same JSON by POST. Parameters are logged, so one that holds a secret is
            better named by a variable of the environment: `$RETRAIN_WEBHOOK`.
        seconds: How long each of the two may take.
    """

    command: str | None = None
    url: str | None = None
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.url is not None and not self.url.startswith(("http://", "https://", "$")):
            raise ValueError(
                "url has to begin with https:// or http://, or to be $NAME, a variable of the "
                "environment that holds such a one"
            )
        if not 0 < self.seconds < math.inf:
            raise ValueError(f"seconds is {self.seconds}: give more than 0")


@dataclass(frozen=True)
class RetrainConfig(Settings):
    """What a retrain takes in, when it stops, and what its challenger has to show.

    Attributes:
        held_out: Share of the rows that are never trained on, and that models are judged by.
        key: Columns that say which row it is, for a row that is corrected later to stay held out;
            none: all columns.
        max_broken: Largest share of a partition's rows that may break the contract; one with more
            is refused.
        on_drift: What to do when new rows are told apart from those of the champion's training.
        max_drift_auc: From this area under the ROC curve on they are: 0.5 is chance.
        start: Where training starts: from random weights, or, of tables and ratings, from the
            champion's, as far as columns, levels, users and items are the same.
        metric: What models are judged by; None takes the kind's.
        policy: `better`: the challenger replaces the champion if it is better beyond doubt.
            `fresh`: newer data are preferred, and it is enough that it is not worse by more than
            `margin`.
        margin: By how much the metric may be worse (`fresh`) or has to be better (`better`).
        floors: Lowest score by slice or class, below which no challenger is promoted.
        max_megabytes: Largest size of the challenger's bundle; None for any.
        max_milliseconds: Longest time for an answer to one row; None for any.
        max_minutes: Longest time for a run; the next one goes on from its checkpoint. None for any.
        registered_name: The registered model that challengers become versions of: the source's
            `registration.registered_name`, or else its name. The configuration sets it.
        keep: How many versions, checkpoints and artifacts are kept; those with an alias always are.
        notify: Who is told of the end.
    """

    held_out: float = 0.2
    key: tuple[str, ...] = ()
    max_broken: float = 0.05
    on_drift: Literal["warn", "stop", "ignore"] = "warn"
    max_drift_auc: float = 0.75
    start: Literal["scratch", "champion"] = "scratch"
    metric: str | None = None
    policy: Literal["better", "fresh"] = "better"
    margin: float = 0.0
    floors: Mapping[str, float] = field(default_factory=dict)
    max_megabytes: float | None = None
    max_milliseconds: float | None = None
    max_minutes: float | None = None
    registered_name: str | None = None
    keep: int = 5
    notify: Notify = field(default_factory=Notify)

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out is {self.held_out}: give a share strictly between 0 and 1")
        if len(set(self.key)) < len(self.key):
            raise ValueError(f"key is {list(self.key)}: name each column once")
        if not 0 <= self.max_broken <= 1:
            raise ValueError(f"max_broken is {self.max_broken}: give a share from 0 to 1")
        if not 0.5 <= self.max_drift_auc <= 1:
            raise ValueError(
                f"max_drift_auc is {self.max_drift_auc}: give an area from 0.5 (chance) to 1"
            )
        if not 0 <= self.margin < math.inf:
            raise ValueError(f"margin is {self.margin}: give 0 or more, in the metric's unit")
        if not all(map(math.isfinite, self.floors.values())):
            raise ValueError(f"floors is {dict(self.floors)}: give a number for each")
        for name in ("max_megabytes", "max_milliseconds", "max_minutes"):
            limit = getattr(self, name)
            if limit is not None and not 0 < limit < math.inf:
                raise ValueError(f"{name} is {limit}: give more than 0, or null for no limit")
        if self.keep < 1:
            raise ValueError(f"keep is {self.keep}: give 1 or more")
