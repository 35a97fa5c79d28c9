"""Vocabularies that people can read."""

import json
from itertools import islice
from pathlib import Path

import pyarrow as pa
from kedro_datasets._typing import TablePreview

from gradual.io.atomic import AtomicFileDataset
from gradual.io.parquet import table_preview
from gradual.text.vocabulary import Vocabulary


class VocabularyDataset(AtomicFileDataset[Vocabulary, Vocabulary]):
    """A vocabulary as JSON, one `[word, count]` a line in id order.

    Loading checks the words against the hash stored with them.

    Examples:
        ```yaml
        imdb.vocabulary:
          type: gradual.io.VocabularyDataset
          filepath: data/04_feature/imdb/vocabulary.json
          metadata:
            kedro-viz: {layer: feature}
        ```

        >>> dataset = VocabularyDataset(filepath="vocabulary.json")
        >>> dataset.save(build_vocabulary(tokens, rows))
        >>> dataset.load().hash
    """

    def _read(self, path: Path) -> Vocabulary:
        try:
            return Vocabulary.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} cannot be read as a vocabulary: {error}") from error

    def _write(self, data: Vocabulary, path: Path) -> None:
        head = data.to_json()
        words = ",\n".join(json.dumps(pair, ensure_ascii=False) for pair in head.pop("words"))
        lines = "".join(f"{json.dumps(key)}: {json.dumps(head[key])},\n" for key in head)
        path.write_text(f'{{\n{lines}"words": [\n{words}\n]\n}}\n', encoding="utf-8")

    def preview(self, nrows: int = 40) -> TablePreview:
        """The first words and their counts for kedro-viz."""
        vocabulary = self._read(Path(self._get_load_path()))
        words = list(islice(vocabulary.words, nrows))
        counts = list(islice(vocabulary.counts, nrows))
        return table_preview(pa.table({"word": words, "count": counts}))
