"""The whole recipe in slices, as on a borrowed GPU, at a size for two cores."""

import importlib.util
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydantic import RootModel

from gradual.configuration.loader import ConfigLoader
from gradual.settings import CONFIG_LOADER_ARGS
from gradual.text.classifier import ClassifierConfig
from gradual.text.language_model import LanguageModelConfig

NOT_FINISHED = 75

# What a borrowed machine need not have. Its packages beside torch's own: numpy, pandas, pyarrow,
# safetensors.
ABSENT = ["kedro", "kedro_datasets", "kedro_mlflow", "mlflow", "spacy", "pydantic", "sklearn",
          "scipy", "tqdm", "plotly", "sentencepiece", "wcwidth", "fsspec"]  # fmt: skip
BARE = (
    "import runpy, sys\n"
    f"sys.modules.update(dict.fromkeys({ABSENT!r}))\n"
    "sys.argv = sys.argv[1:]\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')\n"
)


@pytest.fixture(scope="module")
def script(project: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("imdb_on_gpu", project / "scripts/imdb_on_gpu.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["imdb_on_gpu"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpus(script: ModuleType, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gpu") / "corpus.arrow"
    script.prepare(project / "data/01_raw/imdb_sample/texts.csv", path, 120)
    return path


def start(project: Path, *arguments: object) -> subprocess.Popen[str]:
    """Run the script as a machine with nothing but its own packages would."""
    return subprocess.Popen(
        [sys.executable, "-c", BARE, project / "scripts/imdb_on_gpu.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def train(corpus: Path, work: Path, seconds: float, every: float) -> list[object]:
    return ["train", corpus, work, "--size=small", "--device=cpu",
            f"--slice-minutes={seconds / 60}", f"--checkpoint-seconds={every}"]  # fmt: skip


def test_the_recipe_is_that_of_conf_full(script: ModuleType, project: Path) -> None:
    ours = script.recipe("full", 300)
    loader = ConfigLoader(str(project / "conf"), env="full", **CONFIG_LOADER_ARGS)
    source = loader["parameters"]["imdb"]
    for config, kind, name in (
        (ours[0], LanguageModelConfig, "language_model"),
        (ours[1], ClassifierConfig, "classifier"),
    ):
        configured = RootModel[kind].model_validate(source[name]).root  # type: ignore[valid-type]
        ours_rates = [phase.lr for phase in config.training.phases]
        rates = [phase.lr for phase in configured.training.phases]
        np.testing.assert_allclose(
            [np.atleast_1d(r).max() for r in ours_rates], [np.atleast_1d(r).max() for r in rates]
        )
        for field in ("model", "batch_size", "bptt", "drop_mult"):
            assert getattr(config, field) == getattr(configured, field), (name, field)


def test_both_directions_hold_the_same_words(script: ModuleType, corpus: Path) -> None:
    forward, backward = (script.read(corpus, direction) for direction in script.DIRECTIONS)
    assert len(forward.corpus) == 120
    assert forward.vocabulary.words[forward.corpus.document(0)[0]] == "xxbos"
    assert backward.corpus.backwards
    for i in (0, 7, 119):
        assert backward.corpus.document(i)[::-1].tolist() == forward.corpus.document(i).tolist()
    assert set(forward.classifier) == {"train", "valid", "test"}
    with pytest.raises(ValueError, match="make it with prepare"):
        script.read(Path(__file__), "forward")


def test_slices_end_where_one_undisturbed_run_does(
    script: ModuleType, corpus: Path, tmp_path: Path
) -> None:
    data = script.read(corpus, "forward")
    script.Slice(data, tmp_path / "whole", "small", math.inf, 1_000, "cpu").run()
    for every in (0.2, 0.5, 1.0):
        with pytest.raises(script.SliceEndedError, match="epochs and"):  # at its first checkpoint
            script.Slice(data, tmp_path / "sliced", "small", 0, every, "cpu").run()
    script.Slice(data, tmp_path / "sliced", "small", math.inf, 1_000, "cpu").run()
    assert_equal_results(tmp_path)
    results = script.Slice(data, tmp_path / "sliced", "small", 0, 1, "cpu").run()  # all is there
    assert results["test"]["rows"] == 24


def assert_equal_results(folder: Path) -> None:
    for name in ("language_model.safetensors", "classifier.safetensors", "probabilities.npy"):
        assert (folder / "whole" / name).read_bytes() == (folder / "sliced" / name).read_bytes(), (
            name
        )


@pytest.mark.slow
def test_a_killed_run_goes_on_without_the_rest_of_the_project(
    project: Path, corpus: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sliced/language_model_checkpoints"
    ended = start(project, *train(corpus, tmp_path / "a", 0, 1.0))
    output = ended.communicate(timeout=300)[0]
    assert ended.returncode == NOT_FINISHED, output
    assert "Run the same command again" in output
    (tmp_path / "a/forward").rename(tmp_path / "sliced")
    (tmp_path / "a/forward").symlink_to(tmp_path / "sliced")
    (tmp_path / "b").mkdir()
    (tmp_path / "whole").mkdir()
    (tmp_path / "b/forward").symlink_to(tmp_path / "whole")

    before = [path.stat().st_mtime_ns for path in folder.iterdir()]
    killed = start(project, *train(corpus, tmp_path / "a", 1_000, 0.5))
    wait_for(lambda: before != [path.stat().st_mtime_ns for path in folder.iterdir()])
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    for run in [start(project, *train(corpus, tmp_path / work, 1_000, 100)) for work in "ab"]:
        output = run.communicate(timeout=300)[0]
        assert run.returncode == 0, output
    assert_equal_results(tmp_path)
    missing = start(project, "ensemble", corpus, tmp_path / "a")
    assert "run train with --direction backward" in missing.communicate(timeout=60)[0]


def test_the_ensemble_scores_all_three(script: ModuleType, corpus: Path, tmp_path: Path) -> None:
    data = script.read(corpus, "forward")
    truth = data.labels[data.classifier == "test"]
    right = (truth == "positive").astype(float)
    for direction, certainty in zip(script.DIRECTIONS, (0.8, 0.6), strict=True):
        folder = tmp_path / direction
        folder.mkdir()
        p = np.where(right == 1, certainty, 1 - certainty)
        p[0] = 1 - p[0] if direction == "backward" else p[0]
        (folder / "results.json").write_text('{"labels": ["negative", "positive"]}')
        np.save(folder / "probabilities.npy", np.stack([1 - p, p], 1))
    scores = script.ensemble(data, tmp_path)
    assert [scores[name]["accuracy"] for name in ("forward", "ensemble")] == [1, 1]
    assert scores["backward"]["accuracy"] == pytest.approx(1 - 1 / len(truth))
    low, high = scores["backward"]["interval"]
    assert 0 < low < scores["backward"]["accuracy"] < high <= 1


def test_the_benchmark_times_both_sides(script: ModuleType) -> None:
    figures = script.benchmark("small", 5, 200, "cpu")
    assert set(figures["tokens_per_second"]) >= {"gradual", "bare"}
    assert figures["gradual_to_bare"] > 0
    assert figures["waits_in_a_step"].startswith("not checked")


def wait_for(condition, seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
