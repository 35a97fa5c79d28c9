import subprocess
import sys

import pydantic
import pytest

from gradual.training.config import EarlyStopping, Phase, TrainingConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"lr": -1.0}, r"lr is -1\.0"),
        ({"lr": (1e-2, 1e-3)}, "low <= high"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"groups": 0}, "groups is 0"),
        ({"momentum": (0.9, 1.0)}, "momentum is"),
        ({"schedule": "linear"}, "schedule is 'linear'.*one_cycle"),
        ({"warmup": 1.0}, "warmup is"),
        ({"start_div": 0.5}, "start_div is"),
        ({"end_div": 0.0}, "end_div is"),
        ({"cycles": 0}, "cycles is"),
        ({"max_steps": 0}, "max_steps is"),
    ],
)
def test_a_bad_phase_names_field_value_and_remedy(changes, message):
    with pytest.raises(ValueError, match=message):
        Phase(**{"epochs": 1, "lr": 1e-3, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phases": ()}, "at least one phase"),
        ({"seed": -1}, "seed is -1"),
        ({"precision": "float16"}, "precision is 'float16'"),
        ({"weight_decay": -0.1}, "weight_decay is"),
        ({"beta2": 1.0}, "beta2 is"),
        ({"eps": 0.0}, "eps is"),
        ({"gradient_clip": 0.0}, "gradient_clip is"),
        ({"checkpoint_seconds": -1.0}, "checkpoint_seconds is"),
    ],
)
def test_a_bad_run_names_field_value_and_remedy(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**{"phases": (Phase(1, 1e-3),), **changes})


def test_yaml_becomes_a_configuration_and_a_typo_is_refused():
    class Model(pydantic.BaseModel):
        training: TrainingConfig

    model = Model(training={"phases": [{"epochs": 1, "lr": [1e-4, 1e-2]}, {"epochs": 2, "lr": 1}]})
    assert model.training.phases == (Phase(1, (1e-4, 1e-2)), Phase(2, 1.0))
    with pytest.raises(pydantic.ValidationError, match="warm_up"):
        Model(training={"phases": [{"epochs": 1, "lr": 1e-3, "warm_up": 0.1}]})


def test_configuration_and_files_need_no_torch():
    code = (
        "import sys, gradual.training.config, gradual.training.files\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_shortened_training_ends_after_so_many_epochs_without_early_stopping():
    training = TrainingConfig(
        phases=(Phase(2, 1e-2), Phase(5, 1e-3), Phase(1, 1e-4)),
        early_stopping=EarlyStopping(patience=2),
    )
    assert [p.epochs for p in training.shortened(4).phases] == [2, 2]
    assert [p.epochs for p in training.shortened(8).phases] == [2, 5, 1]
    assert training.shortened(4).early_stopping is None
    with pytest.raises(ValueError, match="epochs is 0"):
        training.shortened(0)
