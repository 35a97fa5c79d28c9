"""Corpora, memory-mapped."""

from pathlib import Path

import pyarrow as pa
from kedro_datasets._typing import TablePreview

from gradual.io.atomic import AtomicFileDataset
from gradual.io.parquet import table_preview
from gradual.text.corpus import Corpus


class CorpusDataset(AtomicFileDataset[Corpus, Corpus]):
    """A corpus as an Arrow file that loading maps into memory instead of reading it.

    A corpus that is in use keeps its content when the file is replaced by a later save: the
    rename leaves the mapped file to its readers.

    Examples:
        ```yaml
        imdb.corpus:
          type: gradual.io.CorpusDataset
          filepath: data/05_model_input/imdb/corpus.arrow
          metadata:
            kedro-viz: {layer: model_input}
        ```

        >>> dataset = CorpusDataset(filepath="corpus.arrow")
        >>> dataset.save(numericalize(tokens, vocabulary))
        >>> dataset.load().document(0)
    """

    def _read(self, path: Path) -> Corpus:
        try:
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
                return Corpus.from_table(file.read_all())
        except (pa.ArrowInvalid, ValueError, KeyError) as error:
            raise ValueError(f"{path} cannot be read as a corpus: {error}") from error

    def _write(self, data: Corpus, path: Path) -> None:
        table = data.to_table()
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)

    def preview(self, nrows: int = 10) -> TablePreview:
        """Length and first ids of the first documents for kedro-viz."""
        corpus = self._read(Path(self._get_load_path()))
        documents = range(min(nrows, len(corpus)))
        ids = [corpus.document(i).tolist() for i in documents]
        return table_preview(pa.table({"tokens": [len(row) for row in ids], "ids": ids}))
