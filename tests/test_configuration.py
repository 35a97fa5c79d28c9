"""Sources that read another one's texts backwards differ from it in nothing else, anywhere."""

from pathlib import Path
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader

from gradual.settings import CONFIG_LOADER_ARGS


def parameters(project: Path, env: str) -> dict[str, Any]:
    loader = OmegaConfigLoader(str(project / "conf"), env=env, **CONFIG_LOADER_ARGS)
    return loader["parameters"]


@pytest.mark.parametrize("env", ["base", "lesson", "full", "tiny"])
@pytest.mark.parametrize("source", ["imdb", "wikitext"])
def test_backwards_is_one_setting(project: Path, env: str, source: str) -> None:
    found = parameters(project, env)
    ahead, back = found[source], found[f"{source}_backwards"]
    assert back.pop("tokenizer") == ahead.pop("tokenizer") | {"backwards": True}
    assert back.pop("generation")["prompts"] != ahead.pop("generation")["prompts"]
    names = [side.pop("registration", {}).get("registered_name") for side in (ahead, back)]
    assert names == [None, None] or names[0] != names[1]
    assert back == ahead
