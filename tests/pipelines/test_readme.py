"""What the README tells people to type works as it stands there."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd

Kedro = Callable[..., CompletedProcess[str]]


def test_own_texts_need_two_yaml_files_and_one_registry_line(
    project: Path, clone: Path, kedro: Kedro
) -> None:
    readme = (project / "README.md").read_text()
    files = re.findall(r"`(conf/base/tickets/\w+\.yml)`.*?```yaml\n(.*?)```", readme, re.DOTALL)
    assert [name for name, _ in files] == [
        "conf/base/tickets/catalog.yml",
        "conf/base/tickets/parameters.yml",
    ]
    for name, content in files:
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text(content)
    (line,) = re.findall(r"```python\n( +\"tickets\": .*\n)```", readme)
    registry = clone / "src/gradual/pipeline_registry.py"
    registry.write_text(registry.read_text().replace("    return {\n", "    return {\n" + line))

    folder = clone / "data/01_raw/tickets"
    folder.mkdir()
    kinds = {"billing": "the invoice is wrong", "network": "the line is down", "other": "thank you"}
    pd.DataFrame(
        [
            {"message": f"Hello, {text} again, case {case}. {text.upper()}!", "team": team}
            for case in range(40)
            for team, text in kinds.items()
        ]
    ).to_csv(folder / "tickets.csv", index=False)

    result = kedro(clone, "run", "--pipeline=tickets")

    assert result.returncode == 0, result.stdout
    metrics = json.loads((clone / "data/08_reporting/tickets/classifier_metrics.json").read_text())
    assert metrics["model"]["classes"] == ["billing", "network", "other"]
    assert metrics["rows"] == 24
    assert (clone / "data/08_reporting/tickets/report.html").is_file()


def test_every_file_that_the_readme_links_to_is_there(project: Path) -> None:
    for page in [project / "README.md", *(project / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
