"""Object stores: from a URI to pyarrow's file system, with credentials from the environment alone."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from workflow.storage.errors import FolderError, StorageError, patience, retried

ALLOWED = {
    "s3": ("region", "scheme", "endpoint_override", "force_virtual_addressing"),
    "gs": ("scheme", "endpoint_override", "retry_limit_seconds"),
    "abfs": ("credential_kind", "enable_tls", "blob_storage_authority", "dfs_storage_authority"),
    "hdfs": ("user", "replication", "buffer_size"),
}
"""Names that may stand behind the ? of a URI. Any other might be a secret, and URIs are printed and written down."""
KINDS = {"s3": "s3", "gs": "gs", "gcs": "gs", "abfs": "abfs", "abfss": "abfs", "hdfs": "hdfs", "viewfs": "hdfs"}
REGIONS = {"AWS_REGION", "AWS_DEFAULT_REGION"}
PROBE = ".probe-"
"""How the names of objects begin that are written to test a store, and deleted again."""
START_PATIENCE = 10.0
"""Seconds for which the first access to a store is tried again, before any work is done."""
CONNECT_SECONDS, REQUEST_SECONDS = 10.0, 60.0


@dataclass(frozen=True, slots=True)
class Store:
    """One bucket, container or name node."""

    scheme: str
    authority: str
    """Between // and the next slash."""
    query: str
    base: str
    """What pyarrow puts before the path."""

    @property
    def filesystem(self) -> Any:
        return _filesystem(self.scheme, self.authority, self.query)

    def uri(self, path: str) -> str:
        return f"{self.scheme}://{self.authority}/{path}" + (f"?{self.query}" if self.query else "")


def parse(uri: str) -> tuple[Store, str] | Path:
    """The store and the path of ``uri``; the local path of a file:// URI.

    Raises:
        FolderError: no such kind of store, an unusable part, or credentials in it.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise FolderError(f"file://{parts.netloc}/...: write three slashes, file:///folder")
        return Path(unquote(parts.path))
    kind = KINDS.get(parts.scheme)
    if kind is None:
        raise FolderError(f"{parts.scheme}://...: there is no such kind of storage; there are {', '.join(KINDS)}, file")
    _refuse_credentials(parts.scheme, kind, parts.netloc, parts.query)
    path = parts.path.strip("/")
    plain_uri = f"{parts.scheme}://{parts.netloc}/{path}"
    if not parts.netloc or not path:
        raise FolderError(
            f"{plain_uri}: must name a bucket and a folder in it, such as {parts.scheme}://bucket/runs/name"
        )
    if parts.fragment or any(part in ("", ".", "..") for part in path.split("/")):
        raise FolderError(f"{plain_uri}: the path must be plain, without '..', empty parts or '#'")
    base = f"{parts.netloc}/" if kind in ("s3", "gs") else _base(parts.scheme, parts.netloc, path, parts.query)
    return Store(parts.scheme, parts.netloc, parts.query, base), path


def _refuse_credentials(scheme: str, kind: str, authority: str, query: str) -> None:
    """Raise FolderError for credentials; no message repeats them."""
    if kind in ("s3", "gs") and ":" in authority:
        # A secret key may hold a slash, so that its rest looks like a path.
        raise FolderError(f"{scheme}://...: a URI must not hold credentials; set them in the environment")
    user, at, host = authority.rpartition("@")
    # The container of a storage account stands before an @.
    if at and (kind != "abfs" or ":" in user):
        raise FolderError(
            f"{scheme}://...@{host}/...: a URI must not hold credentials; take them out and set them in the environment"
        )
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if name not in ALLOWED[kind]:
            raise FolderError(
                f"{scheme}://{host}/...: {name!r} cannot stand in the URI of a run folder; {', '.join(ALLOWED[kind])} "
                "can; credentials come from the environment alone"
            )


def _base(scheme: str, authority: str, path: str, query: str) -> str:
    _, full = _opened(f"{scheme}://{authority}/{path}" + (f"?{query}" if query else ""))
    return str(full).removesuffix(path)


@lru_cache
def _filesystem(scheme: str, authority: str, query: str) -> Any:
    if scheme != "s3":
        return _opened(f"{scheme}://{authority}/x" + (f"?{query}" if query else ""))[0]
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    options: dict[str, Any] = dict(parse_qsl(query))
    if not {"region", "endpoint_override"} & set(options) and not REGIONS & set(os.environ):
        # The bucket itself may say where it is; if not, the first request will say what is wrong.
        with contextlib.suppress(OSError):
            options["region"] = resolve_s3_region(authority)
    if "force_virtual_addressing" in options:
        options["force_virtual_addressing"] = options["force_virtual_addressing"] == "true"
    # Opened late, a small object is one request; a large one is sent in parts and seen when the last has come.
    return S3FileSystem(
        **options,
        allow_delayed_open=True,
        background_writes=False,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=3),
    )


def _opened(uri: str) -> tuple[Any, str]:
    import pyarrow as pa
    from pyarrow.fs import FileSystem

    try:
        opened: tuple[Any, str] = FileSystem.from_uri(uri)
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise FolderError(f"{uri}: cannot be opened: {first}") from None
    return opened


def check_access(folder: Any) -> None:
    """Write, list, read and delete a small object below ``folder`` (an ``ObjectPath``): better now than after hours.

    Raises:
        FolderError: something of it is not possible; what to change.
    """
    name = f"{PROBE}{secrets.token_hex(8)}"
    probe, content = folder / name, name.encode()
    system = folder.store.filesystem

    def listed() -> bool:
        from pyarrow.fs import FileSelector

        infos = system.get_file_info(FileSelector(folder.key, allow_not_found=True))
        return probe.key in {info.path for info in infos}

    try:
        with patience(START_PATIENCE):
            probe.write_bytes(content)
            visible = retried(listed, str(folder)) and probe.read_bytes() == content
            probe.unlink()
    except StorageError as error:
        raise FolderError(f"the run folder {error}") from None
    except OSError as error:
        raise FolderError(f"the run folder {folder} cannot be used: {error}") from None
    if not visible:
        raise FolderError(f"{folder}: an object just written there is not seen, so that no stage could find the last's")
