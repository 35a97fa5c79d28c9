"""Plain text."""

from pathlib import Path

from gradual.io.atomic import AtomicFileDataset


class TextDataset(AtomicFileDataset[str, str]):
    r"""A string in a UTF-8 file, line ends as they are.

    Examples:
        ```yaml
        imdb.samples:
          type: gradual.io.TextDataset
          filepath: data/08_reporting/imdb/samples.txt
        ```

        >>> dataset = TextDataset(filepath="samples.txt")
        >>> dataset.save("This film was\n")
        >>> dataset.load()
        'This film was\n'
    """

    def _read(self, path: Path) -> str:
        return path.read_bytes().decode("utf-8")

    def _write(self, data: str, path: Path) -> None:
        if not isinstance(data, str):
            raise TypeError(f"a {type(data).__name__} is no text: give {type(self).__name__} a str")
        path.write_bytes(data.encode("utf-8"))
