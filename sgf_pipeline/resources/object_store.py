"""An S3 object store as the lake needs it: whole objects, created once or replaced, encrypted, locked where asked.

Belongs here: requests, what must be true after a write, and what each refusal means in our words. Does not belong
here: names of files and what lies in them (``lake``), and keys: they come from the usual AWS chain (environment,
profile, role), through s3fs.

A context manager of s3fs completes an upload even when its block fails, so that half an object gets its name;
uploads are therefore made of S3's own requests here. What is written is looked at again (HEAD), because a store may
take the headers for encryption and retention and do nothing with them.
"""

import contextlib
import mimetypes
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from upath import UPath

from sgf_pipeline.domain.errors import (
    ConfigurationError,
    ConflictError,
    SgfError,
    StorageError,
    StorageUnavailableError,
)

Encryption = Literal["AES256", "aws:kms", "off"]
LockMode = Literal["COMPLIANCE", "GOVERNANCE"]

PART_BYTES = 16 << 20  # S3 takes 10,000 parts: objects of up to 160 GiB
PARTS_IN_FLIGHT = 4
OPTIONS: dict[str, Any] = {"use_listings_cache": False, "config_kwargs": {"connect_timeout": 5, "read_timeout": 60}}
# botocore tries again by itself (AWS_MAX_ATTEMPTS, AWS_RETRY_MODE); s3fs once more, for answers that break off.
TRIES = 2
# Of writers that meet, one is through each time; so many never meet at one object.
UPDATE_TRIES = 40
UPDATE_PAUSE_SECONDS = 0.02  # grows with each try, at random, so that two do not meet again

KEYS_REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired")
WRONG_REGION = ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "301")
NO_LOCK = ("ObjectLockConfigurationNotFoundError", "InvalidBucketState")
NOT_ENCRYPTED = "set S3_SSE=off to store without it, or mend the server"


@dataclass(frozen=True)
class Protection:
    """What an object must be after it was written; ``lock_days`` counts for objects that are written as records."""

    encryption: Encryption = "AES256"
    kms_key_id: str | None = None
    lock_days: int = 0
    lock_mode: LockMode = "COMPLIANCE"


class ObjectStore:
    """The objects below ``root``. Every method raises errors of ours alone."""

    def __init__(self, root: UPath, endpoint: str | None, protection: Protection) -> None:
        self._root = root
        self._fs: Any = root.fs
        self._fs.retries = TRIES
        self._endpoint = endpoint
        self._protection = protection

    def read(self, path: UPath) -> bytes | None:
        """The object's content, or None where there is none."""
        with self.reaching():
            try:
                return bytes(self._fs.cat_file(path.path))
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None

    def exists(self, path: UPath) -> bool:
        """Whether there is an object of that name. Asked by listing, because HEAD does not tell a missing bucket."""
        bucket, key = _parts(path)
        with self.reaching():
            answer = self.call("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
        return any(entry["Key"] == key for entry in answer.get("Contents", []))

    def names(self, folder: UPath) -> list[str]:
        """Names below a folder, one level deep, sorted."""
        bucket, key = _parts(folder)
        prefix = f"{key.rstrip('/')}/" if key else ""
        found: set[str] = set()
        more: dict[str, str] = {}
        while True:
            with self.reaching():
                answer = self.call("list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter="/", **more)
            found |= {entry["Key"] for entry in answer.get("Contents", [])}
            found |= {entry["Prefix"].rstrip("/") for entry in answer.get("CommonPrefixes", [])}
            if not answer.get("IsTruncated"):
                return sorted(name.removeprefix(prefix) for name in found - {prefix})
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def put(
        self, path: UPath, content: bytes, *, create: bool = False, expected: str | None = None, record: bool = False
    ) -> None:
        """Write an object in one request.

        Raises ``ConflictError`` with ``create`` where there is one already, and with ``expected`` (an ETag) where that
        is not the one that lies there.
        """
        bucket, key = _parts(path)
        condition = {"IfNoneMatch": "*"} if create else {} if expected is None else {"IfMatch": expected}
        with self.reaching(record):
            answer = self.call(
                "put_object", Bucket=bucket, Key=key, Body=content, **self.headers(path, record), **condition
            )
        self.verify(path, answer.get("VersionId"), record)

    def update(self, path: UPath, change: Callable[[bytes | None], bytes]) -> None:
        """Replace an object by ``change`` of it (of None where there is none), so that no other update is lost.

        Where somebody was quicker ``change`` is called again, with what lies there now; also where the answer to a
        write was lost on its way, so that ``change`` must bear being applied twice.
        """
        for attempt in range(1, UPDATE_TRIES + 1):
            content, etag = self._read_with_etag(path)
            try:
                self.put(path, change(content), create=etag is None, expected=etag)
            except ConflictError:
                pass
            except StorageUnavailableError as error:
                if error.__cause__ is None or _code(error.__cause__) != "ConditionalRequestConflict":
                    raise
            else:
                return
            time.sleep(UPDATE_PAUSE_SECONDS * attempt * secrets.randbelow(100) / 100)
        raise StorageUnavailableError(
            f"lake {self._address} always holds another {path.name} than the one just read ({UPDATE_TRIES} tries):"
            " end what writes it all the time, then run again"
        )

    def _read_with_etag(self, path: UPath) -> tuple[bytes | None, str | None]:
        """Content and ETag of one version: two requests could see two."""
        from fsspec.asyn import sync  # type: ignore[import-untyped]

        bucket, key = _parts(path)

        async def ask() -> tuple[bytes, str]:
            answer = await self._fs._call_s3("get_object", Bucket=bucket, Key=key)
            try:
                return bytes(await answer["Body"].read()), str(answer["ETag"])
            finally:
                answer["Body"].close()

        with self.reaching():
            try:
                found: tuple[bytes, str] = sync(self._fs.loop, ask)
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None, None
        return found

    @contextmanager
    def uploading(self, path: UPath, *, record: bool = False) -> Iterator["Upload"]:
        """A sink for an object of any size, which gets its name at the end of the block, and only without an error."""
        upload = Upload(self, path, record)
        try:
            yield upload
            upload.complete()
        except BaseException:
            upload.abort()
            raise
        finally:
            upload.close()

    def remove(self, path: UPath, version: str | None = None) -> None:
        """Remove an object, if it is there. In a versioned bucket its versions stay, behind a marker."""
        bucket, key = _parts(path)
        with self.reaching():
            self.call("delete_object", Bucket=bucket, Key=key, **({"VersionId": version} if version else {}))

    def check(self, probe: UPath) -> None:
        """Raise ``StorageError`` where something that the lake relies on is not so; leaves nothing behind.

        The bucket is there (some servers would make it at the first write), keys and rights do, objects are encrypted,
        a second creation of an object is refused, so is replacing another object than the one that was read, and there
        is an object lock where records are to be locked.
        """
        bucket, _ = _parts(probe)
        self.exists(probe)
        if self._protection.lock_days:
            with self.reaching(record=True):
                self.call("get_object_lock_configuration", Bucket=bucket)
        self.put(probe, b"", create=True)
        try:
            if not self._refuses(probe, create=True):
                raise StorageError(
                    f"lake {self._address} overwrites what must only be created (it ignores If-None-Match), so that two"
                    " runs could take one batch_id: set SGF_STORAGE_URL to a store that honours it"
                )
            if not self._refuses(probe, expected=f'"{"0" * 32}"'):
                raise StorageError(
                    f"lake {self._address} overwrites what another run has just written (it ignores If-Match), so that"
                    " a shard's receipt could lose a sink: set SGF_STORAGE_URL to a store that honours it"
                )
        finally:
            self.remove(probe)

    def _refuses(self, probe: UPath, **condition: Any) -> bool:
        try:
            self.put(probe, b"", **condition)
        except ConflictError:
            return True
        return False

    def sweep(self, before: datetime) -> None:
        """Abort uploads that began before that moment and never ended: their parts are invisible, but take room."""
        bucket, prefix = _parts(self._root)
        with self.reaching():
            answer = self.call("list_multipart_uploads", Bucket=bucket, Prefix=prefix)
            for upload in answer.get("Uploads", []):
                if upload["Initiated"] < before:
                    self.call("abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def call(self, request: str, **arguments: Any) -> Any:
        """One request of S3's, by its name in botocore. Raises what s3fs raises: see ``reaching``."""
        return self._fs.call_s3(request, **arguments)

    @contextmanager
    def reaching(self, record: bool = False) -> Iterator[None]:
        """Say in our own words what the store refuses, or that it does not answer."""
        try:
            yield
        except _wire_errors() as error:
            raise self._said(error, record) from error

    def headers(self, path: UPath, record: bool) -> dict[str, Any]:
        """What a write asks for beside its content."""
        asked: dict[str, Any] = {"ContentType": mimetypes.guess_type(path.name)[0] or "application/octet-stream"}
        if self._protection.encryption != "off":
            asked["ServerSideEncryption"] = self._protection.encryption
        if self._protection.encryption == "aws:kms" and self._protection.kms_key_id:
            asked["SSEKMSKeyId"] = self._protection.kms_key_id
        if record and self._protection.lock_days:
            asked["ObjectLockMode"] = self._protection.lock_mode
            asked["ObjectLockRetainUntilDate"] = datetime.now(UTC) + timedelta(days=self._protection.lock_days)
        return asked

    def verify(self, path: UPath, version: str | None, record: bool) -> None:
        """Look at what was written. An object that is not encrypted as asked is removed again."""
        bucket, key = _parts(path)
        with self.reaching():
            held = self.call("head_object", Bucket=bucket, Key=key, **({"VersionId": version} if version else {}))
        asked, found = self._protection.encryption, held.get("ServerSideEncryption")
        if asked not in ("off", found):
            self.remove(path, version)
            raise StorageError(
                f"lake {self._address} stored {path.name} with encryption {found or 'none'} instead of S3_SSE={asked}:"
                f" {NOT_ENCRYPTED}"
            )
        if record and self._protection.lock_days and held.get("ObjectLockMode") != self._protection.lock_mode:
            raise StorageError(
                f"lake {self._address} did not lock {path.name} ({self._protection.lock_mode} for S3_OBJECT_LOCK_DAYS="
                f"{self._protection.lock_days}): grant s3:PutObjectRetention and s3:GetObjectRetention, or set the"
                " days to 0"
            )

    @property
    def _address(self) -> str:
        return f"{self._root} at {self._endpoint or 'AWS'}"

    def _said(self, error: Exception, record: bool) -> SgfError:
        """The error in our words: transient where trying again can help."""
        code, status = _code(error), _status(error)
        lake = f"lake {self._address}"
        short = _response(error).get("Error", {}).get("Message") or str(error) or type(error).__name__
        short = short.splitlines()[0].rstrip(".")
        if code == "PreconditionFailed":
            return ConflictError(f"{lake} holds this object already, or another version of it")
        if code == "NoSuchBucket":
            return StorageError(f"{lake} has no such bucket: create it, or set SGF_STORAGE_URL to another one")
        if code in KEYS_REFUSED:
            return StorageError(
                f"{lake} does not accept the keys ({code}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"
                " AWS_PROFILE"
            )
        if code in WRONG_REGION:
            return StorageError(f"{lake} lies in another region ({code}): set AWS_DEFAULT_REGION")
        if code in NO_LOCK or (code == "InvalidRequest" and record and self._protection.lock_days):
            return StorageError(
                f"{lake} has no object lock, but S3_OBJECT_LOCK_DAYS is {self._protection.lock_days}: use a bucket that"
                " was created with object lock, or set the days to 0"
            )
        if isinstance(error, PermissionError):
            return StorageError(
                f"{lake} refuses it ({short}): grant the keys s3:ListBucket, s3:GetObject, s3:PutObject,"
                " s3:DeleteObject and s3:AbortMultipartUpload there (for locks see docs/lake.md), or use other keys"
            )
        if isinstance(error, FileNotFoundError):
            return StorageError(f"{lake} has no object {short}: build the asset that writes it first")
        encrypted = self._protection.encryption
        if code is not None and (code.startswith("KMS.") or status == 501 or "Encryption" in code):
            return StorageError(f"{lake} cannot do S3_SSE={encrypted} ({code}: {short}): {NOT_ENCRYPTED}")
        if isinstance(error, _not_set_up()):
            return ConfigurationError(
                f"{lake} cannot be asked ({short}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE,"
                " and AWS_DEFAULT_REGION"
            )
        if code is None or status >= 500 or status in (409, 429) or code in ("RequestTimeout", "SlowDown"):
            why = "; the server may have no key service, see S3_SSE" if encrypted == "aws:kms" and code else ""
            return StorageUnavailableError(
                f"{lake} does not answer ({short}{why}): check S3_ENDPOINT_URL and the server, then run again"
            )
        return StorageError(f"{lake} refuses it ({code}: {short}): check SGF_STORAGE_URL, S3_ENDPOINT_URL and S3_SSE")


class Upload:
    """One object on its way. Nothing is visible before ``complete``, nothing stays after ``abort``."""

    def __init__(self, store: ObjectStore, path: UPath, record: bool) -> None:
        self._store = store
        self._path = path
        self._record = record
        self._bucket, self._key = _parts(path)
        self._buffer = bytearray()
        self._pool: ThreadPoolExecutor | None = None
        self._id: str | None = None
        self._sent: list[Future[dict[str, Any]]] = []

    def write(self, data: bytes) -> int:
        """Take content; whole parts are sent in the background, a few at a time."""
        self._buffer += data
        while len(self._buffer) >= PART_BYTES:
            self._send(bytes(self._buffer[:PART_BYTES]))
            del self._buffer[:PART_BYTES]
        return len(data)

    def flush(self) -> None:
        """Nothing to do: S3 has no half objects."""

    def complete(self) -> None:
        """Give the object its name, and look at it."""
        if self._id is None:
            self._store.put(self._path, bytes(self._buffer), record=self._record)
            return
        if self._buffer:
            self._send(bytes(self._buffer))
        parts = []
        with self._store.reaching(self._record):
            for number, part in enumerate(self._sent, start=1):
                answer = part.result()
                checksum = {name: answer[name] for name in ("ChecksumCRC32",) if name in answer}
                parts.append({"PartNumber": number, "ETag": answer["ETag"], **checksum})
            answer = self._call("complete_multipart_upload", UploadId=self._id, MultipartUpload={"Parts": parts})
        self._id = None
        self._store.verify(self._path, answer.get("VersionId"), self._record)

    def abort(self) -> None:
        """Throw away what was sent. A store that is gone keeps its invisible parts until ``sweep``."""
        if self._id is None:
            return
        for part in self._sent:
            part.cancel()
        self.close()
        with contextlib.suppress(StorageUnavailableError, StorageError), self._store.reaching():
            self._call("abort_multipart_upload", UploadId=self._id)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def _send(self, part: bytes) -> None:
        with self._store.reaching(self._record):
            if self._id is None:
                headers = self._store.headers(self._path, self._record)
                self._id = self._call("create_multipart_upload", **headers)["UploadId"]
                self._pool = ThreadPoolExecutor(PARTS_IN_FLIGHT, thread_name_prefix="upload")
            if len(self._sent) >= PARTS_IN_FLIGHT:
                self._sent[-PARTS_IN_FLIGHT].result()
            assert self._pool is not None
            number = len(self._sent) + 1
            self._sent.append(
                self._pool.submit(self._call, "upload_part", UploadId=self._id, PartNumber=number, Body=part)
            )

    def _call(self, method: str, **arguments: Any) -> Any:
        return self._store.call(method, Bucket=self._bucket, Key=self._key, **arguments)


def _wire_errors() -> tuple[type[Exception], ...]:
    """What s3fs lets through: Python's own errors, and the roots of the trees of what it stands on."""
    from aiohttp import ClientError as BrokenAnswer
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    return OSError, BotoCoreError, ClientError, ResponseParserError, BrokenAnswer


def _not_set_up() -> tuple[type[Exception], ...]:
    """Errors before anything was asked: no keys, no such profile, no region."""
    from botocore import exceptions as of

    return (
        of.NoCredentialsError, of.PartialCredentialsError, of.CredentialRetrievalError, of.ProfileNotFound,
        of.ConfigParseError, of.NoRegionError, of.InvalidRegionError, of.ParamValidationError,
    )  # fmt: skip


def probe_name() -> str:
    return f"probe-{uuid.uuid4().hex}"


def _parts(path: UPath) -> tuple[str, str]:
    bucket, _, key = str(path.path).strip("/").partition("/")
    return bucket, key


def _response(error: BaseException) -> dict[str, Any]:
    """The server's answer behind an error: s3fs hands on Python's own errors, with the real one as their cause."""
    answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return answer if isinstance(answer, dict) else {}


def _code(error: BaseException) -> str | None:
    code = _response(error).get("Error", {}).get("Code")
    return None if code is None else str(code)


def _status(error: BaseException) -> int:
    return int(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
