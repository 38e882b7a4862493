"""A run in one file: its results, observations and environment as a zip archive.

The archive holds ``run.json``, which ``repro.results.serialization`` writes, and the tables behind the results as
``observations/KEY.parquet``, KEY being the SHA-256 of the file. The same run always makes the same bytes.

A bundle may come from anyone. It is read in memory, within limits, and nothing in it is executed or unpickled; unless
all of it is valid, none of it is used.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from etils import epy

from repro.common import BundleError, paths, write_atomically
from repro.results.records import ClaimResult, Run
from repro.results.serialization import run_of_bytes, run_to_bytes
from repro.results.store import Store

with epy.lazy_imports():
    import pyarrow
    from pyarrow import parquet

DOCUMENT = "run.json"
OBSERVATIONS = re.compile(r"observations/([0-9a-f]{64})\.parquet")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive can state
ENCRYPTED = 0x1
# Limits of what is read into memory, several times what the largest run of the suite takes.
MOST_MEMBERS = 20_000
LARGEST_DOCUMENT = 2**26  # bytes
LARGEST_ARCHIVE = 2**30  # bytes of all members, uncompressed
LARGEST_TABLE = 2**28  # bytes of a table's columns, uncompressed
MOST_CELLS = 50_000_000


@dataclass(frozen=True)
class Bundle:
    """A run in memory.

    Attributes:
        run: Run that is bundled.
        results: Results of the run, in the order recorded.
        observations: Parquet files by key; all that the results name, and no others.
    """

    run: Run
    results: tuple[ClaimResult, ...]
    observations: Mapping[str, bytes]

    def read_observations(self, key: str) -> pd.DataFrame:
        """Return a table of observations.

        Args:
            key: Key that a result names.
        """
        return pd.read_parquet(io.BytesIO(self.observations[key]), engine="pyarrow")


def bundle_of(store: Store, run: str) -> Bundle:
    """Collect a run with its results and observations.

    Raises:
        StoreError: there is no such run, or its observations are missing or corrupt.
    """
    chosen = store.run(run)
    results = tuple(store.results(chosen.id))
    return Bundle(chosen, results, {key: store.observations_content(key) for key in sorted(_keys(results))})


def export_run(store: Store, run: str, file: Path) -> Run:
    """Write a run to a file.

    Args:
        store: Store of the run.
        run: Id of the run, or ``latest``.
        file: File of the bundle; its folder must exist.

    Raises:
        StoreError: there is no such run, or its observations are missing or corrupt.
        BundleError: there is another file of that name, which is left alone, or the file cannot be written.
    """
    bundle = bundle_of(store, run)
    try:
        content = to_bytes(bundle)
    except ValueError as error:
        raise BundleError(f"run {bundle.run.id} cannot be exported: {error}; run its claims again") from error
    try:
        if paths.is_device(file):
            raise BundleError(f"cannot write {file}: it is a device; name a file")
        if file.exists() and file.read_bytes() != content:
            raise BundleError(f"{file} exists and has other content; choose another name or remove it")
        write_atomically(file, content)
    except OSError as error:
        raise BundleError(f"cannot write {file}: {error.strerror}; choose another place") from error
    return bundle.run


def add(store: Store, bundle: Bundle) -> bool:
    """Add a run to a results folder, whole or not at all.

    Returns:
        Whether the run is new; one that is there with the same content is left as it is.

    Raises:
        BundleError: there is another run of that id.
        StoreError: the folder cannot be written.
    """
    run = bundle.run
    if run.id not in {known.id for known in store.runs()}:
        store.import_run(run, bundle.results, bundle.observations)
        return True
    if run_to_bytes(store.run(run.id), store.results(run.id)) != run_to_bytes(run, bundle.results):
        raise BundleError(f"{store.folder} has another run {run.id}; use --results with another folder")
    return False


def to_bytes(bundle: Bundle) -> bytes:
    """Write a bundle as an archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(_member(DOCUMENT), run_to_bytes(bundle.run, bundle.results), zipfile.ZIP_DEFLATED)
        for key, table in sorted(bundle.observations.items()):
            archive.writestr(_member(f"observations/{key}.parquet"), table)  # Parquet is compressed already
    return content.getvalue()


def read_bundle(file: Path) -> Bundle:
    """Read and check a bundle.

    Raises:
        BundleError: the file cannot be read, or anything in it is not as ``export_run`` writes it.
    """
    if paths.is_device(file):
        raise BundleError(f"cannot read {file}: it is a device; name a file that `repro export` wrote")
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(archive, file)
            document = archive.read(DOCUMENT)
            tables = {match[1]: archive.read(name) for name in members if (match := OBSERVATIONS.fullmatch(name))}
    except OSError as error:
        raise BundleError(f"cannot read {file}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _refused(file, f"it is no readable archive: {error}") from error
    try:
        run, results = run_of_bytes(document)
    except ValueError as error:
        raise _refused(file, f"{DOCUMENT}: {error}") from error
    _check_tables(tables, _keys(results), file)
    return Bundle(run, results, tables)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, EPOCH)
    member.create_system = 3  # Unix, whatever the system: the same run makes the same bytes
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    return member


def _keys(results: tuple[ClaimResult, ...]) -> set[str]:
    evaluations = [item for result in results for item in (result.evaluation, *result.counterparts)]
    return {item.observations for item in evaluations if item.observations is not None}


def _members(archive: zipfile.ZipFile, file: Path) -> list[str]:
    """List the names of the members, each safe to read: the module zipfile reads no more than they declare."""
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise _refused(file, f"it has {len(members)} members, more than {MOST_MEMBERS}")
    names = [member.orig_filename for member in members]
    for member in members:
        reason = _irregularity(member)
        if reason:
            raise _refused(file, f"its member {member.orig_filename[:100]!r} {reason}")
    if len(set(names)) < len(names):
        raise _refused(file, "it has several members of one name")
    if DOCUMENT not in names:
        raise _refused(file, f"it has no {DOCUMENT}")
    if sum(member.file_size for member in members) > LARGEST_ARCHIVE:
        raise _refused(file, f"it unpacks to more than {LARGEST_ARCHIVE} bytes")
    return names


def _irregularity(member: zipfile.ZipInfo) -> str:
    """Say why a member is refused; return empty text where it is as it should be."""
    if member.orig_filename != DOCUMENT and not OBSERVATIONS.fullmatch(member.orig_filename):
        return "does not belong in a bundle"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is no regular file"
    if member.flag_bits & ENCRYPTED:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in an unusual way"
    if member.orig_filename == DOCUMENT and member.file_size > LARGEST_DOCUMENT:
        return f"has more than {LARGEST_DOCUMENT} bytes"
    return ""


def _check_tables(tables: Mapping[str, bytes], named: set[str], file: Path) -> None:
    if named != set(tables):
        missing = sorted(named - set(tables))
        reason = f"observations {missing[0]} are missing" if missing else "it has observations that no result names"
        raise _refused(file, reason)
    for key, content in tables.items():
        if hashlib.sha256(content).hexdigest() != key:
            raise _refused(file, f"observations {key} are corrupt")
        try:
            _check_table(content)
        except (ValueError, TypeError, KeyError, RecursionError, OSError, pyarrow.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise _refused(file, f"observations {key} are no plain table: {reason}") from error


def _check_table(content: bytes) -> None:
    """Read a table of numbers, text, truth values and lists of them.

    Raises:
        ValueError: it is too large, or has other columns.
        pyarrow.ArrowException: it is no Parquet file.
    """
    table = parquet.ParquetFile(io.BytesIO(content))
    groups = [table.metadata.row_group(number) for number in range(table.metadata.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > LARGEST_TABLE:
        raise ValueError(f"it unpacks to more than {LARGEST_TABLE} bytes")
    if table.metadata.num_rows * max(table.metadata.num_columns, 1) > MOST_CELLS:
        raise ValueError(f"it has more than {MOST_CELLS} cells")
    schema = table.schema_arrow
    for name, kind in zip(schema.names, schema.types, strict=True):
        if not _is_plain(kind):
            raise ValueError(f"column {name[:100]!r} is {kind}")
    pd.read_parquet(io.BytesIO(content), engine="pyarrow")


def _is_plain(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    known = (types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_large_string)
    return any(is_known(kind) for is_known in (*known, types.is_null, types.is_temporal))


def _refused(file: Path, reason: str) -> BundleError:
    return BundleError(f"{file} is refused: {reason}; ask for a bundle that `repro export` wrote")
