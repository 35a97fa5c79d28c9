"""Atomic writing of files and hashes of content; free of any numerical library."""

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

_BLOCK = 1 << 20


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Replace a file in one step: either the whole new content or the old file.

    The body writes to a file in a temporary folder beside the target, so that what a library puts
    next to its file (safetensors writes under a name of its own first) is cleared away with it.
    When the body ends well, the file is flushed to the disk, renamed over ``path`` and the rename
    flushed too; when it raises, ``path`` stays as it was. Either way the folder is removed, and
    folders that a killed process left for the same target are removed first.

    Args:
        path: the file to write; missing parent folders are created.

    Yields:
        A path with the target's name, not yet existing, in a folder beside the target that is
        named ``.<name>.<process>-<random>.tmp``.

    Raises:
        FileNotFoundError: the body has not written the temporary file.
        OSError: the folder or the file cannot be written; ``path`` is unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    folder = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    folder.mkdir()
    try:
        temporary = folder / path.name
        yield temporary
        _flush(temporary, os.O_RDWR)
        temporary.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        _flush(path.parent, os.O_RDONLY)


def remove_leftovers(path: Path) -> None:
    """Remove the temporaries of `atomic_path` for this target whose process is gone."""
    prefix = f".{path.name}."
    if os.name != "posix" or not path.parent.is_dir():  # os.kill(pid, 0) asks nothing elsewhere
        return
    for name in os.listdir(path.parent):  # noqa: PTH208 - names only, and glob would read [] in them
        if not (name.startswith(prefix) and name.endswith(".tmp")):
            continue
        process = name[len(prefix) :].split("-")[0]
        if process.isdigit() and not _alive(int(process)):
            shutil.rmtree(path.with_name(name), ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it exists and is someone else's, or is no process of ours
        return True
    return True


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def to_json_types(obj: Any, *, identity: bool = False) -> Any:
    """Turn dataclasses, mappings and sequences into dicts, lists and scalars that JSON knows.

    Args:
        obj: dataclass instance, mapping with string keys, list, tuple, str, number, bool, None.
        identity: leave out dataclass fields with ``metadata={"identity": False}``: those that
            say where or how often something happens, not what is computed.

    Raises:
        TypeError: something else is in there; the message names its type.
    """
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {
            field.name: to_json_types(getattr(obj, field.name), identity=identity)
            for field in dataclasses.fields(obj)
            if not identity or field.metadata.get("identity", True)
        }
    if isinstance(obj, Mapping):
        wrong = next((key for key in obj if not isinstance(key, str)), None)
        if wrong is not None:
            raise TypeError(f"key {wrong!r} is not a string: JSON would change it; use strings.")
        return {key: to_json_types(value, identity=identity) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [to_json_types(value, identity=identity) for value in obj]
    if obj is None or isinstance(obj, str | bool | int | float):
        return obj
    raise TypeError(
        f"{type(obj).__name__} is not JSON: convert {obj!r:.80} to a string, number, list or dict."
    )


def from_json_types(kind: Any, data: Any) -> Any:
    """Rebuild what `to_json_types` wrote: lists become tuples, mappings dataclasses where named.

    Args:
        kind: the type of what was written, or one that names its dataclass: `X | None`,
            `tuple[X, ...]`; None where it holds none.
        data: what JSON holds.
    """
    kinds = (kind, *get_args(kind))
    made: Any = next((one for one in kinds if dataclasses.is_dataclass(one)), None)
    if isinstance(data, list):
        return tuple(from_json_types(made, value) for value in data)
    if not isinstance(data, Mapping):
        return data
    hints = {} if made is None else get_type_hints(made)
    values = {name: from_json_types(hints.get(name), value) for name, value in data.items()}
    return values if made is None else made(**values)


def canonical_json(obj: Any) -> str:
    """Return the one JSON text of an object: keys sorted, no blanks, dataclasses as objects.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot say.
        TypeError: a value is no dataclass, mapping, sequence or scalar.
    """
    return json.dumps(
        to_json_types(obj),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def fingerprint(obj: Any) -> str:
    """Return the SHA-256 of `canonical_json` in hexadecimal."""
    return hashlib.sha256(canonical_json(obj).encode()).hexdigest()
