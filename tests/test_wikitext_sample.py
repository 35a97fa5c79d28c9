import subprocess
import sys
from pathlib import Path

from gradual.sources.wikitext import read_articles

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data/01_raw/wikitext_sample/wikitext-sample-v1.zip"


def test_script_reproduces_the_committed_archive_byte_by_byte(tmp_path: Path) -> None:
    script = ROOT / "scripts/make_wikitext_sample.py"
    subprocess.run([sys.executable, script, "--output", tmp_path], check=True, capture_output=True)
    assert (tmp_path / SAMPLE.name).read_bytes() == SAMPLE.read_bytes()
    assert SAMPLE.stat().st_size < 1e6


def test_no_town_is_in_two_parts() -> None:
    titles = [article.text.split("\n")[0] for article in read_articles(SAMPLE)]
    assert len(titles) == len(set(titles)) == 200
