"""How well ratings are predicted on MovieLens, beside the baselines, over several splits.

    GRADUAL_MIRROR=… python benchmarks/movielens/quality.py tune      # settings, on validation rows
    GRADUAL_MIRROR=… python benchmarks/movielens/quality.py score     # the test rows, once

`tune` looks at latest-small only, and there at validation ratings out of the training part of the
first three splits. `score` trains the settings below and scores each split's own random 20 %.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from gradual.collab.ids import IdMap
from gradual.collab.models import CollabModelConfig
from gradual.collab.ratings import (
    RatingsConfig,
    RatingsSplit,
    SideConfig,
    read_ratings,
    read_side,
    split_ratings,
)
from gradual.collab.recommender import Recommender
from gradual.collab.simple_models import fit_neighbours
from gradual.collab.train import CollabConfig, train_collab
from gradual.results.table import Answers, score_models
from gradual.sources.reader import SourceFormat, open_source
from gradual.sources.splits import Split, part_rows
from gradual.training.config import Phase, TrainingConfig

sys.path.append(str(Path(__file__).parents[1]))
from common import half_width

ROOT = Path(__file__).resolve().parents[2]
MIRROR = Path(os.environ["GRADUAL_MIRROR"])
SMALL = MIRROR / "ml-latest-small.zip"


def training(epochs: int, lr: float, weight_decay: float, seed: int) -> TrainingConfig:
    """Return one cycle of training on the CPU."""
    return TrainingConfig(
        phases=(Phase(epochs, lr),),
        precision="float32",
        weight_decay=weight_decay,
        seed=seed,
        device="cpu",
    )


def lesson(seed: int, epochs: int = 5, lr: float = 5e-3, weight_decay: float = 0.2) -> CollabConfig:
    """The lesson's model; epochs and weight decay by `tune`."""
    return CollabConfig(training=training(epochs, lr, weight_decay, seed))


def strongest(
    seed: int,
    epochs: int = 6,
    lr: float = 5e-3,
    weight_decay: float = 0.4,
    batch_size: int = 256,
    **model: object,
) -> CollabConfig:
    """Intercept and genres and year beside the factors; settings by `tune`."""
    settings = {"intercept": True, "item_features": True, **model}
    return CollabConfig(
        model=CollabModelConfig(**settings),
        training=training(epochs, lr, weight_decay, seed),
        batch_size=batch_size,
    )


def small() -> tuple[pa.Table, pa.Table]:
    """Return the ratings and the movies of latest-small."""
    ratings = open_source(SMALL, SourceFormat(member="*/ratings.csv"))
    films = open_source(SMALL, SourceFormat(member="*/movies.csv"))
    return read_ratings(ratings, RatingsConfig()), read_side(films, SideConfig())


def tune() -> None:
    """Print the validation RMSE of settings, mean and each of three splits."""
    ratings, items = small()
    grid: list[tuple[str, Callable[[int], CollabConfig]]] = []
    for epochs in (3, 4, 5):
        for decay in (0.1, 0.2, 0.3):
            grid.append(
                (
                    f"lesson epochs {epochs} wd {decay}",
                    lambda s, e=epochs, d=decay: lesson(s, e, 5e-3, d),
                )
            )
    for epochs, decay, more in (
        (4, 0.3, {}),
        (5, 0.3, {}),
        (5, 0.4, {}),
        (6, 0.4, {}),
        (5, 0.3, {"factors": 100}),
        (5, 0.3, {"implicit": True}),
        (5, 0.5, {"implicit": True}),
    ):
        grid.append(
            (
                f"strongest epochs {epochs} wd {decay} {more}",
                lambda s, e=epochs, d=decay, m=more: strongest(s, e, 5e-3, d, **m),
            )
        )
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    for name, make in grid:
        if wanted not in name:
            continue
        errors = []
        for seed in range(3):
            split = RatingsSplit(
                test=Split(fraction=0.2, seed=seed), valid=Split(fraction=0.125, seed=100 + seed)
            )
            parts = split_ratings(ratings, split)
            _, history = train_collab(ratings, parts, make(seed), items=items)
            errors.append(history.epochs[-1]["valid_rmse"])
        print(f"{name}: {np.mean(errors):.4f} {np.round(errors, 4)}", flush=True)


def score() -> None:
    """Score the lesson's sample and latest-small, and write results.md beside this file."""
    ratings = read_ratings(MIRROR / "movie_lens_sample.tgz", RatingsConfig())
    recipe = {
        "the lesson's model": lambda seed: CollabConfig(training=training(3, 5e-3, 0.01, seed))
    }
    squares: dict[str, list[float]] = {}
    for seed in range(10):
        guesses, test = answers(ratings, seed, recipe)
        for name, guess in guesses.items():
            squares.setdefault(name, []).append(_rmse(guess, test) ** 2)
    own = squares["the lesson's model"]
    lines = [
        "# Quality on MovieLens",
        "",
        f"`python {Path(__file__).relative_to(ROOT)} score`",
        "",
        f"The lesson's sample, {ratings.num_rows:,} ratings, random 20 % ({test.num_rows:,}) held "
        "out, the lesson's recipe (50 factors, 3 epochs at 5e-3), 10 seeds of split and start. ±: "
        "Student's t over the seeds, whose splits overlap: rather too narrow.",
        "",
        "| | MSE, mean of 10 seeds | each seed | the lesson's model minus this, by seed |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {_mean(values)} | {_each(values)} | "
            f"{'' if values is own else _mean(list(np.subtract(own, values)))} |"
            for name, values in squares.items()
        ),
        "",
    ]
    ratings, items = small()
    found: dict[str, list[float]] = {}
    first: dict[str, tuple[float, float]] = {}
    for seed in range(5):
        recipes = {"the lesson's model": lesson, "strongest configuration": strongest}
        guesses, test = answers(ratings, seed, recipes, items)
        for name, guess in guesses.items():
            found.setdefault(name, []).append(_rmse(guess, test))
            if seed == 0:
                first[name] = _interval(guess, test)
        print(seed, {name: round(values[-1], 4) for name, values in found.items()}, flush=True)
    lines += [
        f"latest-small, {ratings.num_rows:,} ratings, random 20 % ({test.num_rows:,} ratings) held "
        "out and scored once a seed, 5 seeds, no timestamps. Settings by `tune` on validation "
        "ratings out of the training part of the first three splits; since the splits of the seeds "
        "overlap, some of these ratings are scored with another seed. "
        "Interval of seed 0: bootstrap over users; ±: Student's t.",
        "",
        "| | RMSE, mean of 5 seeds | each seed | seed 0, 95 % interval |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {_mean(values)} | {_each(values)} | "
            f"[{first[name][0]:.4f}, {first[name][1]:.4f}] |"
            for name, values in found.items()
        ),
        "",
    ]
    text = "\n".join(lines)
    print(text)
    Path(__file__).with_name("results.md").write_text(text)


def answers(
    ratings: pa.Table,
    seed: int,
    recipes: dict[str, Callable[[int], CollabConfig]],
    items: pa.Table | None = None,
) -> tuple[dict[str, np.ndarray], pa.Table]:
    """What all models answer for the ratings of a random fifth, ``(ratings,)``; that fifth."""
    parts = split_ratings(ratings, RatingsSplit(valid=Split(fraction=0.2, seed=seed)))
    train, test = (ratings.take(part_rows(parts, name)) for name in ("train", "valid"))
    users, movies = (IdMap.fit(train[name]) for name in ("user", "item"))
    known = [(users.encode(part["user"]), movies.encode(part["item"])) for part in (train, test)]
    own = train["rating"].to_numpy()
    neighbours = fit_neighbours(*known[0], own, (len(users), len(movies)))
    guesses = {
        "mean": np.full(test.num_rows, own.mean()),
        "biases": neighbours.biases.predict(*known[1]),
        "item-based neighbours": neighbours.predict(*known[1]),
    }
    for name, make in recipes.items():
        bundle, _ = train_collab(ratings, parts, make(seed), items=items)
        guesses[name] = Recommender.from_bundle(bundle).score_numbers(*known[1])
    return guesses, test


def _rmse(guess: np.ndarray, test: pa.Table) -> float:
    return float(np.sqrt(np.square(guess - test["rating"].to_numpy(), dtype=np.float64).mean()))


def _interval(guess: np.ndarray, test: pa.Table) -> tuple[float, float]:
    answer = Answers("", np.asarray(guess, np.float64))
    truth, users = test["rating"].to_numpy(), test["user"].to_numpy()
    row = score_models([answer], truth, "rating", source="", units=users).frame.iloc[0]
    return row["low"], row["high"]


def _mean(values: list[float]) -> str:
    return f"{np.mean(values):.4f} ± {half_width(values):.4f}"


def _each(values: list[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values)


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"tune": tune, "score": score}[sys.argv[1]]()
