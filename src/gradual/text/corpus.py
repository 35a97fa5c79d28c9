"""The corpus: all documents as one flat array of word ids with document offsets."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from gradual.text.vocabulary import Vocabulary, flat_tokens

_FORMAT = b"gradual-corpus-1"
_BACKWARDS = "backwards"


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents as word ids.

    Attributes:
        ids: `(n_tokens,)`, uint16 for up to 65,536 words, else uint32.
        offsets: `(n_documents + 1,)`, int64; document i is `ids[offsets[i]:offsets[i + 1]]`.
        vocabulary_hash: Hash of the vocabulary that the ids belong to.
        backwards: Whether each document runs from its end to its beginning. A vocabulary does
            not tell: it counts words, whatever their order.
    """

    ids: np.ndarray
    offsets: np.ndarray
    vocabulary_hash: str
    backwards: bool = False

    def __post_init__(self) -> None:
        if self.ids.ndim != 1 or self.ids.dtype not in (np.uint16, np.uint32):
            raise ValueError(
                f"ids has dtype {self.ids.dtype} and shape {self.ids.shape}: it must be a flat "
                "array of uint16 or uint32"
            )
        if self.offsets.ndim != 1 or self.offsets.dtype != np.int64 or not len(self.offsets):
            raise ValueError(
                f"offsets has dtype {self.offsets.dtype} and shape {self.offsets.shape}: it must "
                "be a flat array of int64, one longer than there are documents"
            )
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.ids):
            raise ValueError(
                f"offsets goes from {self.offsets[0]} to {self.offsets[-1]}: it must go from 0 to "
                f"the number of ids, {len(self.ids)}"
            )
        falls = np.flatnonzero(np.diff(self.offsets) < 0)
        if len(falls):
            raise ValueError(f"offsets falls after document {falls[0]}: it must never fall")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each document, `(n_documents,)`, int64."""
        return np.diff(self.offsets)

    def document(self, i: int) -> np.ndarray:
        """Ids of document `i` (a view; negative `i` counts from the end)."""
        i = range(len(self))[i]
        return self.ids[self.offsets[i] : self.offsets[i + 1]]

    def select(self, rows: np.ndarray) -> "Corpus":
        """The corpus of some documents.

        Args:
            rows: A boolean mask `(n_documents,)`, or integer positions in the order wanted.
        """
        rows = np.asarray(rows)
        if rows.dtype == bool and rows.shape != (len(self),):
            raise ValueError(
                f"rows has shape {rows.shape}: a mask holds one bool for each of the "
                f"{len(self)} documents"
            )
        positions = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        parts = [self.document(int(i)) for i in positions]
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        ids = np.concatenate(parts) if parts else self.ids[:0]
        return Corpus(ids, offsets, self.vocabulary_hash, self.backwards)

    @cached_property
    def hash(self) -> str:
        """Sha256 (hex) of the ids, the offsets, the vocabulary's hash and the direction."""
        direction = "backwards " if self.backwards else ""
        digest = hashlib.sha256(f"{self.ids.dtype} {self.vocabulary_hash} {direction}".encode())
        digest.update(np.ascontiguousarray(self.offsets).data)
        digest.update(np.ascontiguousarray(self.ids).data)
        return digest.hexdigest()

    def to_table(self) -> pa.Table:
        """An Arrow table that shares these arrays: one row a document, column `ids`."""
        documents = pa.LargeListArray.from_arrays(pa.array(self.offsets), pa.array(self.ids))
        metadata = {"format": _FORMAT, "vocabulary_hash": self.vocabulary_hash}
        schema = pa.schema([pa.field("ids", documents.type)], metadata=metadata)
        return mark_direction(pa.table([documents], schema=schema), self.backwards)

    @classmethod
    def from_table(cls, table: pa.Table) -> "Corpus":
        """The corpus in a table that `to_table` made.

        Nothing is copied where the table is in one piece, so a corpus read from a memory-mapped
        Arrow file stays on disk until it is used.

        Raises:
            ValueError: The table is no corpus.
        """
        metadata = table.schema.metadata or {}
        if metadata.get(b"format") != _FORMAT or "ids" not in table.column_names:
            raise ValueError(
                f"this table is no corpus: its format is {metadata.get(b'format')!r}, not "
                f"{_FORMAT!r}, and its columns are {table.column_names}; numericalize anew"
            )
        column = table["ids"]
        chunk = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        if isinstance(chunk, pa.ChunkedArray):  # combining no chunks at all
            chunk = pa.array([], column.type)
        offsets = chunk.offsets.to_numpy()
        ids = chunk.values.to_numpy()
        if len(offsets) and (offsets[0] != 0 or offsets[-1] != len(ids)):  # a slice of a table
            ids, offsets = ids[offsets[0] : offsets[-1]], offsets - offsets[0]
        return cls(ids, offsets, metadata[b"vocabulary_hash"].decode(), is_backwards(table))


def numericalize(tokens: pa.Table, vocabulary: Vocabulary) -> Corpus:
    """Replace words by their ids in `vocabulary`; unknown words become `xxunk` (id 0).

    Args:
        tokens: The token table (see `gradual.text.vocabulary.flat_tokens`); the corpus has its
            direction.
        vocabulary: The words and their ids.
    """
    codes, offsets, words = flat_tokens(tokens)
    smallest = np.uint16 if len(vocabulary) <= 1 << 16 else np.uint32
    id_of_code = np.array([vocabulary.index(word) for word in words], smallest)
    return Corpus(id_of_code[codes], offsets, vocabulary.hash, is_backwards(tokens))


def mark_direction(table: pa.Table, backwards: bool) -> pa.Table:
    """The table, with the direction of its documents in the schema's metadata."""
    if not backwards:
        return table
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _BACKWARDS: "true"})


def is_backwards(table: pa.Table) -> bool:
    """Whether the documents of a table run from end to beginning (see `mark_direction`)."""
    return _BACKWARDS.encode() in (table.schema.metadata or {})
