import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from gradual.results.metrics import (
    Metric,
    MultiLabelAnswers,
    metric_named,
    metrics_of,
    register,
    show,
)


def value(name: str, truth, found) -> float:
    return metric_named(name).score(truth, found).value


@pytest.fixture
def classes():
    rng = np.random.default_rng(0)
    found = rng.dirichlet(np.ones(3), 200)
    truth = np.where(rng.random(200) < 0.6, found.argmax(1), rng.integers(3, size=200))
    return truth, found


def test_metrics_of_classes_are_scikit_learns(classes):
    truth, found = classes
    chosen = found.argmax(1)
    assert value("accuracy", truth, found) == pytest.approx(sk.accuracy_score(truth, chosen))
    assert value("balanced_accuracy", truth, found) == pytest.approx(
        sk.balanced_accuracy_score(truth, chosen)
    )
    assert value("f1", truth, found) == pytest.approx(sk.f1_score(truth, chosen, average="macro"))
    assert value("log_loss", truth, found) == pytest.approx(sk.log_loss(truth, found))
    assert value("roc_auc", truth, found) == pytest.approx(
        sk.roc_auc_score(truth, found, multi_class="ovr")
    )


def test_f1_of_two_classes_is_the_positive_ones(classes):
    truth, found = classes
    truth, two = truth == 2, np.stack([1 - found[:, 2], found[:, 2]], 1)
    assert value("f1", truth.astype(int), two) == pytest.approx(sk.f1_score(truth, two.argmax(1)))


def test_metrics_of_labels_are_scikit_learns():
    rng = np.random.default_rng(0)
    truth = rng.random((150, 4)) < [0.5, 0.3, 0.1, 0.6]
    values = np.clip(0.3 * truth + 0.7 * rng.random((150, 4)), 0, 1)
    given_ = values > 0.5
    found = MultiLabelAnswers(values, given_)
    for name, average in (("micro_f1", "micro"), ("macro_f1", "macro")):
        assert value(name, truth, found) == pytest.approx(
            sk.f1_score(truth, given_, average=average)
        )
    assert value("micro_precision", truth, found) == pytest.approx(
        sk.precision_score(truth, given_, average="micro")
    )
    assert value("micro_recall", truth, found) == pytest.approx(
        sk.recall_score(truth, given_, average="micro")
    )
    assert value("macro_auc", truth, found) == pytest.approx(sk.roc_auc_score(truth, values))
    assert value("exact_match", truth, found) == pytest.approx(sk.accuracy_score(truth, given_))


def test_metrics_of_numbers_are_scikit_learns():
    rng = np.random.default_rng(0)
    truth = rng.gamma(2, 100, size=(80, 2)) + 1e6
    found = truth + rng.normal(0, 40, size=(80, 2))
    assert value("r2", truth, found) == pytest.approx(sk.r2_score(truth, found))
    assert value("mae", truth, found) == pytest.approx(sk.mean_absolute_error(truth, found))
    assert value("rmse", truth, found) == pytest.approx(sk.root_mean_squared_error(truth, found))
    assert value("rmsle", truth, found) == pytest.approx(
        sk.root_mean_squared_log_error(truth, found)
    )


def test_rmspe_leaves_out_what_no_error_is_a_share_of():
    truth, found = np.array([0.0, 10.0, 20.0]), np.array([5.0, 11.0, 22.0])
    assert value("rmspe", truth, found) == pytest.approx(0.1)
    assert metric_named("rmspe").score(np.zeros(3), found) is None


def test_a_target_of_one_value_has_no_r2():
    assert metric_named("r2").score(np.ones(4), np.arange(4.0)) is None


@given(st.floats(-1e12, 1e12))
def test_every_number_can_be_shown(number):
    assert show(number)
    assert show(number, "share").endswith(" %")


def test_numbers_of_one_kind_have_one_form():
    assert show(0.9, "share") == "90.0 %"
    assert show(1204.4) == "1,204"
    assert show(0.92541) == "0.9254"
    assert show(float("nan")) == show(None) == "–"
    assert show(0.05, signed=True) == "+0.0500"


def test_a_length_goes_into_the_title():
    metric = Metric("depth", "Depth", ("test-only",), None)
    register(metric)
    register(metric)  # importing a module twice changes nothing
    assert metric_named("depth@10").title == "Depth@10"
    with pytest.raises(ValueError, match="'depth' already"):
        register(Metric("depth", "Other", ("test-only",), None))


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'acuracy'.*accuracy"):
        metric_named("acuracy")
    with pytest.raises(ValueError, match=r"'classes'.*binary"):
        metrics_of("classes")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 60), k=st.integers(2, 5))
def test_scores_stay_in_range_and_do_not_depend_on_the_order_of_rows(seed, n, k):
    rng = np.random.default_rng(seed)
    found, truth = rng.dirichlet(np.ones(k), n), rng.integers(k, size=n)
    order = rng.permutation(n)
    for metric in metrics_of("binary"):
        score = metric.score(truth, found)
        again = metric.score(truth[order], found[order])
        assert (score is None) == (again is None)
        if score is not None:
            assert score.value >= 0
            assert metric.name == "log_loss" or score.value <= 1
            assert again.value == pytest.approx(score.value, abs=1e-12)


def test_certain_and_wrong_costs_a_finite_loss():
    assert 30 < value("log_loss", np.array([0]), np.array([[0.0, 1.0]])) < 40
