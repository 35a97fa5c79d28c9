"""What the README tells people to type works as it stands there."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd

Kedro = Callable[..., CompletedProcess[str]]
AddSource = Callable[[Path, str, dict[str, str]], None]


def test_own_texts_need_one_line_and_two_small_files(
    project: Path, clone: Path, kedro: Kedro, add_source: AddSource
) -> None:
    readme = (project / "README.md").read_text()
    files = re.findall(r"`(conf/base/tickets/\w+\.yml)`.*?```yaml\n(.*?)```", readme, re.DOTALL)
    assert [Path(name).name for name, _ in files] == ["catalog.yml", "parameters.yml"]
    (line,) = re.findall(r"```yaml\n(tickets: .*\n)```", readme)
    add_source(clone, line, dict(files))

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
    summary = json.loads((clone / "data/08_reporting/tickets/summary.json").read_text())
    assert summary["rows"] == 24
    assert (clone / "data/08_reporting/tickets/report.html").is_file()


def test_every_file_that_the_readme_links_to_is_there(project: Path) -> None:
    for page in [project / "README.md", *(project / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
