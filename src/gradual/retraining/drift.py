"""Adversarial validation: can a classifier tell new rows from those the champion was trained on?

If it cannot, out of fold, the new rows are drawn as the old ones were, for all that the classifier
can see (Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests"). Boosted trees look at
numbers, levels and how often an id or a rare level occurs, a logistic regression at each column of
texts; their log-odds are added up. Nothing is read but raw rows, so tables, texts and ratings are
judged alike.

What every row has that comes later is not shown to the classifier: dates, and columns that only
grow (see `gradual.retraining.shifts.growth`). How often an id has occurred is counted among old
rows that are not compared themselves, so that it means the same for both sides.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import csr_matrix
from scipy.stats import ks_2samp, rankdata
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from gradual.results.scores import Score, area_under_roc, by_unit, interval
from gradual.retraining.columns import ColumnKind
from gradual.retraining.config import RetrainConfig
from gradual.retraining.shifts import (
    LEAST,
    SIGNIFICANT,
    Column,
    Shift,
    measure,
    read_columns,
)

FEWEST_ROWS = 50
FEWEST_USERS = 10
MOST_ROWS = 10_000
MOST_TEXTS = 4_000
_FOLDS = 5
_LEVELS = 250  # the rest count as one: trees tell 255 values apart
_VOCABULARY = 20_000
_LONGEST = 20_000  # characters of a text that are read
_LEAST_LENGTH = 0.1  # Kolmogorov and Smirnov's distance
_WORDS = 20
_SAID = 8


@dataclass(frozen=True)
class Word:
    """A word that new texts hold more or less often than old ones.

    Attributes:
        column: Where it stands.
        word: In lower case.
        weight: In the log-odds of being new; negative for words of old texts.
        new: Share of new texts with it.
        old: Share of old texts.
    """

    column: str
    word: str
    weight: float
    new: float
    old: float


@dataclass(frozen=True)
class Drift:
    """Whether new rows can be told from old ones, and by what.

    Attributes:
        auc: Area under the ROC curve of the classifier, out of fold; None if it was not asked.
        low: Lower end of its 95 % interval (DeLong; of users, where there are such).
        high: Upper end.
        drifted: Whether `low` is above `max_drift_auc`: of sources whose rows are told apart no
            better than that, at most 2.5 in 100 are said to have drifted.
        new_rows: How many there are.
        old_rows: Likewise.
        compared: How many of the new and of the old rows the classifier saw.
        shifts: Of each column.
        importance: By how much the area drops when a column's values are permuted among the rows;
            empty where `low` is no better than chance.
        giving: Words that tell texts apart, the ones that tell most first.
        said: All that in sentences, the verdict first.
    """

    auc: float | None
    low: float | None
    high: float | None
    drifted: bool
    new_rows: int
    old_rows: int
    compared: tuple[int, int]
    shifts: tuple[Shift, ...]
    importance: dict[str, float]
    giving: tuple[Word, ...]
    said: list[str]

    @property
    def columns(self) -> pd.DataFrame:
        """A row for each column: its importance, and the fields of `Shift`."""
        rows = pd.DataFrame([asdict(shift) for shift in self.shifts])
        rows.insert(2, "importance", rows["column"].map(self.importance).astype(float))
        rows["new_levels"] = rows["new_levels"].map(", ".join)
        return rows.sort_values("importance", ascending=False, kind="stable", ignore_index=True)

    @property
    def words(self) -> pd.DataFrame:
        """A row for each of `giving`."""
        return pd.DataFrame(
            [asdict(word) for word in self.giving], columns=list(Word.__dataclass_fields__)
        )


def drift(
    new: pa.Table,
    old: pa.Table,
    columns: Mapping[str, ColumnKind],
    config: RetrainConfig,
    seed: int = 0,
) -> Drift:
    """Say whether new rows differ from the champion's training rows, and in what.

    Args:
        new: Rows that have come in.
        old: The champion's training rows, in the order in which they came; other columns of either
            are not looked at.
        columns: What each column is.
        config: `max_drift_auc` is the area up to which a difference is put up with.
        seed: Draws the rows that are compared, at most `MOST_ROWS` of each table (`MOST_TEXTS` if
            there are texts), and the folds.

    Raises:
        SourceError: A column is in neither table.
    """
    generator = np.random.default_rng(seed)
    read = read_columns(new, old, columns)
    shifts = {name: measure(column, generator, len(read)) for name, column in read.items()}
    seen = [column for name, column in read.items() if not shifts[name].left_out]
    rows = _draw(new.num_rows, old.num_rows, seen, generator)
    is_new = np.repeat([True, False], [len(rows.new), len(rows.old)])
    units = _users(seen, rows)
    users = 0 if units is None else len(np.unique(units[is_new]))
    few = min(len(rows.new), len(rows.old)) < FEWEST_ROWS or (
        units is not None and users < FEWEST_USERS
    )
    found = Drift(
        auc=None,
        low=None,
        high=None,
        drifted=False,
        new_rows=new.num_rows,
        old_rows=old.num_rows,
        compared=(len(rows.new), len(rows.old)),
        shifts=tuple(shifts.values()),
        importance={},
        giving=(),
        said=[],
    )
    if few or not seen:
        said = [
            f"Too little to tell new rows from old ones by: {len(rows.new):,} and {len(rows.old):,}"
            f" rows of {len(seen):,} columns; {FEWEST_ROWS} of each are needed"
            + (f", and {FEWEST_USERS} users instead of {users:,}." if units is not None else ".")
        ]
        return replace(found, said=said + _shift_lines(shifts, {}))
    features = [_features(column, rows) for column in seen]
    for one in features:
        if one.words is not None:
            shifts[one.name] = _text_shift(shifts[one.name], one, is_new, len(read))
    folds = [
        _Fold(features, is_new, train, test, seed) for train, test in _folds(is_new, units, seed)
    ]
    area = _area(folds, is_new)
    bounds = interval(by_unit(area, units), "delong", "share") or (area.value, area.value)
    drifted = bounds[0] > config.max_drift_auc
    giving = tuple(word for one in features for word in _giving(one, is_new))
    importance: dict[str, float] = {}
    said = [_verdict(area.value, *bounds, drifted, config)]
    if bounds[0] > 0.5:
        importance = {
            one.name: area.value - _area(folds, is_new, number).value
            for number, one in enumerate(features)
        }
        said += _given_away(importance, giving)
    return replace(
        found,
        auc=area.value,
        low=bounds[0],
        high=bounds[1],
        drifted=drifted,
        shifts=tuple(shifts.values()),
        importance=importance,
        giving=giving,
        said=said + _shift_lines(shifts, importance),
    )


def _shift_lines(shifts: Mapping[str, Shift], importance: Mapping[str, float]) -> list[str]:
    order = sorted(shifts.values(), key=lambda shift: -importance.get(shift.column, 0.0))
    lines = [shift.said for shift in order if shift.notable or shift.left_out]
    more = [f"{len(lines) - _SAID:,} more columns have shifted."] if len(lines) > _SAID else []
    return lines[:_SAID] + more


def _verdict(auc: float, low: float, high: float, drifted: bool, config: RetrainConfig) -> str:
    area = f"AUC {auc:.3f} ({low:.3f} to {high:.3f})"
    if drifted:
        return (
            f"The new rows have drifted: they are told from the champion's training rows with "
            f"{area}, beyond the {config.max_drift_auc} of max_drift_auc."
        )
    if low > 0.5:
        return (
            f"The new rows differ from the champion's training rows, but not beyond the "
            f"{config.max_drift_auc} of max_drift_auc: {area}."
        )
    return f"The new rows look like the champion's training rows: {area}, where chance is 0.5."


def _given_away(importance: Mapping[str, float], giving: tuple[Word, ...]) -> list[str]:
    by = sorted(importance.items(), key=lambda pair: -pair[1])
    said = [
        "What gives them away, by how much the area drops without it: "
        + ", ".join(f"{name} {drop:.3f}" for name, drop in by[:5] if drop >= 0.005)
        + "."
    ]
    if giving:
        said.append(
            "Words in shares of new and of old texts: "
            + ", ".join(f"{word.word!r} {word.new:.1%} / {word.old:.1%}" for word in giving[:5])
            + "."
        )
    return said


# ------------------------------------------------------------------------------ rows and features


@dataclass(frozen=True)
class _Rows:
    """Row numbers: those that are compared, and old ones that occurrences are counted in."""

    new: np.ndarray
    old: np.ndarray
    counted: np.ndarray

    def of(self, column: Column) -> np.ndarray:
        """The values that are compared, new ones first."""
        return np.concatenate([column.new[self.new], column.old[self.old]])


@dataclass(frozen=True)
class _Features:
    """What the classifier sees of a column.

    Attributes:
        name: The column's.
        dense: ``(rows, k)`` for the trees, NaN for gaps; levels as ranks, the most frequent first.
        words: ``(rows, vocabulary)`` counts of words; None of what is no text.
        vocabulary: The words.
    """

    name: str
    dense: np.ndarray
    words: csr_matrix | None = None
    vocabulary: tuple[str, ...] = ()


def _draw(new: int, old: int, seen: list[Column], generator: np.random.Generator) -> _Rows:
    most = MOST_TEXTS if any(column.kind == "text" for column in seen) else MOST_ROWS
    order = generator.permutation(old)
    counts = any(_counted(column) for column in seen)
    compared = min(most, old // 2 if counts else old)
    return _Rows(generator.permutation(new)[:most], order[:compared], order[compared:])


def _counted(column: Column) -> bool:
    return column.kind in ("user", "item", "text") or len(column.levels) > _LEVELS


def _users(seen: list[Column], rows: _Rows) -> np.ndarray | None:
    """Each row's user: rows of one are no independent rows."""
    for column in seen:
        if column.kind == "user":
            return np.unique(rows.of(column), return_inverse=True)[1]
    return None


def _features(column: Column, rows: _Rows) -> _Features:
    values = rows.of(column)
    if column.numeric:
        return _Features(column.name, values[:, None])
    if column.kind == "text":
        return _word_features(column, rows)
    size = len(column.levels)
    occurs = np.bincount(values[values >= 0], minlength=size)
    place = np.argsort(np.argsort(-occurs, kind="stable"))  # 0 is the most frequent
    gaps = np.where(values < 0, np.nan, 0.0)
    made = []
    if column.kind != "user":  # whose folds hold other users
        made.append(np.minimum(place[values], _LEVELS) + gaps)
    if _counted(column):
        counted = column.old[rows.counted]
        made.append(np.bincount(counted[counted >= 0], minlength=size)[values] + gaps)
    return _Features(column.name, np.column_stack(made))


def _word_features(column: Column, rows: _Rows) -> _Features:
    analyze: Callable[[str], list[str]] = CountVectorizer().build_analyzer()
    others = column.old[rows.counted[:MOST_TEXTS]]
    known = {word for text in others for word in analyze(text[:_LONGEST])}
    texts = [analyze(text[:_LONGEST]) for text in rows.of(column)]
    length = np.array([len(words) for words in texts], np.float64)
    unknown = np.array([sum(word not in known for word in words) for words in texts])
    share = np.divide(unknown, length, out=np.full(len(texts), np.nan), where=length > 0)
    vocabulary = [
        word
        for word, count in Counter(word for words in texts for word in set(words)).most_common(
            _VOCABULARY
        )
        if count > 1
    ]
    dense = np.column_stack([length, share])
    if not vocabulary:
        return _Features(column.name, dense)
    counts = CountVectorizer(analyzer=list, vocabulary=vocabulary).transform(texts)
    return _Features(column.name, dense, counts, tuple(vocabulary))


def _text_shift(shift: Shift, found: _Features, is_new: np.ndarray, columns: int) -> Shift:
    """How much more of the new texts' words no other old text has, and whether lengths differ."""
    unknown = found.dense[:, 1]
    new, old = (unknown[side & ~np.isnan(unknown)] for side in (is_new, ~is_new))
    if not len(new) or not len(old):
        return shift
    length = found.dense[:, 0]
    lengths = ks_2samp(length[is_new], length[~is_new], method="asymp")
    p_value = float(ks_2samp(new, old, method="asymp").pvalue)
    more = float(new.mean() - old.mean())
    sure = SIGNIFICANT / columns
    return replace(
        shift,
        measure="unseen",
        shift=max(more, 0.0),
        p_value=min(shift.p_value, p_value, float(lengths.pvalue)),
        notable=bool(
            shift.notable
            or (p_value < sure and more >= LEAST["unseen"])
            or (lengths.pvalue < sure and lengths.statistic >= _LEAST_LENGTH)
        ),
        old=f"{shift.old}, {old.mean():.1%} of them in no other",
        new=f"{shift.new}, {new.mean():.1%} of them in no old one",
        unseen=float(new.mean()),
    )


# ------------------------------------------------------------------------------------- classifier


class _Fold:
    """A classifier, and the rows that it has not seen."""

    def __init__(
        self,
        features: list[_Features],
        is_new: np.ndarray,
        train: np.ndarray,
        test: np.ndarray,
        seed: int,
    ) -> None:
        dense = np.hstack([found.dense for found in features])
        ends = np.cumsum([found.dense.shape[1] for found in features])
        self.places = [
            slice(end - found.dense.shape[1], end)
            for end, found in zip(ends, features, strict=True)
        ]
        self.test, self.dense, self.seed = test, dense[test], seed
        self.trees = HistGradientBoostingClassifier(
            max_iter=60,
            max_leaf_nodes=8,
            early_stopping=False,
            random_state=seed,
        ).fit(dense[train], is_new[train])
        self.words = {
            number: _word_scores(found.words, train, test, is_new)
            for number, found in enumerate(features)
            if found.words is not None
        }

    def scores(self, permuted: int | None = None) -> np.ndarray:
        """How new the rows look, as ranks from 0 to 1; the values of one feature permuted."""
        order = np.random.default_rng(self.seed).permutation(len(self.test))
        dense = self.dense.copy()
        if permuted is not None:
            dense[:, self.places[permuted]] = dense[order, self.places[permuted]]
        total = self.trees.decision_function(dense)
        for number, words in self.words.items():
            total += words[order] if number == permuted else words
        return rankdata(total) / (len(total) + 1)


def _area(folds: list[_Fold], is_new: np.ndarray, permuted: int | None = None) -> Score:
    """The area of all folds' rows.

    Folds are made comparable by ranks within each: scores pooled as they are would count against
    the classifier where its folds' base rates differ (Airola et al. 2011).
    """
    scores = np.zeros(len(is_new))
    for fold in folds:
        scores[fold.test] = fold.scores(permuted)
    found = area_under_roc(is_new, scores)
    assert found is not None
    return found


def _folds(
    is_new: np.ndarray, units: np.ndarray | None, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    kind = StratifiedKFold if units is None else StratifiedGroupKFold
    return kind(_FOLDS, shuffle=True, random_state=seed).split(is_new, is_new, units)


def _regression() -> LogisticRegression:
    return LogisticRegression(solver="liblinear", class_weight="balanced", random_state=0)


def _word_scores(
    words: csr_matrix, train: np.ndarray, test: np.ndarray, is_new: np.ndarray
) -> np.ndarray:
    weigh = TfidfTransformer(sublinear_tf=True).fit(words[train])
    fitted = _regression().fit(weigh.transform(words[train]), is_new[train])
    return fitted.decision_function(weigh.transform(words[test]))


def _giving(found: _Features, is_new: np.ndarray) -> list[Word]:
    """The words by which a regression on all texts tells them apart, the most telling first."""
    if found.words is None:
        return []
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(found.words)
    weights = _regression().fit(weighed, is_new).coef_[0]
    there = found.words > 0
    new, old = (np.asarray(there[side].mean(axis=0)).ravel() for side in (is_new, ~is_new))
    apart = [np.asarray(weighed[side].mean(axis=0)).ravel() for side in (is_new, ~is_new)]
    most = np.argsort(-weights * (apart[0] - apart[1]), kind="stable")[:_WORDS]
    return [
        Word(found.name, found.vocabulary[i], float(weights[i]), float(new[i]), float(old[i]))
        for i in most
    ]
