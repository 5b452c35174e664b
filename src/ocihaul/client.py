"""The one object in the middle: a profile's session, its connections, and what moves over them."""

import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self, Unpack

from ocihaul.config import Flags, Settings, resolve
from ocihaul.errors import ObjectExistsError
from ocihaul.events import Listener, Notice, ignore
from ocihaul.filesystem import from_disk
from ocihaul.resources import CallScope, Resources
from ocihaul.session.credential import CredentialProvider
from ocihaul.session.session import Session, home_directory
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import (
    ListedObject,
    ObjectSummary,
    Selection,
    SseCustomerKey,
    UploadSummary,
)

if TYPE_CHECKING:
    import distributed

    # What only some calls need is imported by them: start-up time.
    from ocihaul.cluster.executor import ClusterExecutor
    from ocihaul.directories.request import Request as DirectoryRequest
    from ocihaul.directories.run import DirectoryResult, Hooks
    from ocihaul.options import (
        DirectoryDownloadOptions,
        DirectoryUploadOptions,
        DownloadOptions,
        UploadOptions,
    )
    from ocihaul.transfer.download.request import DownloadRequest, DownloadResult
    from ocihaul.transfer.receipt_check import Verification
    from ocihaul.transfer.upload.incomplete import IncompleteUpload
    from ocihaul.transfer.upload.request import Confirm, Stream, UploadRequest, UploadResult

#: Bytes of a part of what the official CLI uploads.
_LIKELIEST_PART = 128 * 2**20


class Client:
    """Object Storage as one profile sees it. Thread-safe; close it, or use it as a context.

        >>> import ocihaul
        >>> with ocihaul.Client.from_profile("backup") as client:  # doctest: +SKIP
        ...     client.upload("backup.tar", "backups").size
        1048576

    It owns one session, which it keeps alive, the connections, which it keeps from call to call,
    the journal by which an interrupted transfer is resumed, and the namespace. Nothing is opened
    before the first call that needs it.

    Every call takes a `listener`, which hears what happens in it (`ocihaul.events`), from any
    thread, and `cancel`, an event that ends it with TransferCancelled once it is set: what is
    finished is kept, and the same call resumes. Errors are OcihaulError; what only the session or
    the service can say is SessionError, ServiceError or NetworkError in all of them.

    Transfers take an `executor`: a synchronous `distributed.Client`, by whose cluster's workers the
    files, parts and ranges are moved, while this process plans, proves and remembers
    (docs/dask.md). The session is shared with them for as long as the call lasts, over TLS; over
    plain tcp to another machine only with `allow_plain_tcp`. Raises UsageError for what workers
    cannot do, SourceError that names a worker which does not see the same files.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
        credentials: CredentialProvider | None = None,
    ) -> None:
        """A client by settings that are resolved already; see `from_profile`.

        Once `cancel` is set, it ends whatever is under way, also calls with a `cancel` of their
        own. With `credentials`, which sign instead of what the settings name.
        """
        self._resources = Resources(settings, listener, cancel or threading.Event(), credentials)

    @classmethod
    def from_profile(
        cls,
        profile: str | None = None,
        *,
        config_file: str | Path | None = None,
        auth: str | None = None,
        region: str | None = None,
        endpoint: str | None = None,
        auth_endpoint: str | None = None,
        allow_plain_http: bool = False,
        renew_with: str | None = None,
        session_wait: float = 0.0,
        connection_timeout: float | None = None,
        read_timeout: float | None = None,
        max_attempts: int | None = None,
        bandwidth: str | None = None,
        proxy: str | None = None,
        cert_bundle: str | Path | None = None,
        listener: Listener = ignore,
    ) -> Self:
        """A client for a profile of the config file.

        What is None is found as the command line finds it: environment, rc file, config file.
        `auth` is security_token, api_key or a principal of the SDK. An http:// address of another
        machine is refused, unless `allow_plain_http`. `renew_with` names a profile
        whose API key mints new tokens. `session_wait` is how long, in seconds, a session that has
        expired waits for a new login (0: SessionExpiredError at once). Timeouts are seconds;
        `max_attempts` is per request; `bandwidth` is a text such as "50M" (50 MiB/s).

        Raises ConfigError and UsageError for what is missing or wrong.
        """
        flags = Flags(
            config_file=None if config_file is None else os.fspath(config_file),
            profile=profile,
            auth=auth,
            region=region,
            endpoint=endpoint,
            auth_endpoint=auth_endpoint,
            allow_plain_http=allow_plain_http,
            renew_with=renew_with,
            session_wait=f"{session_wait:.3f}s",
            connection_timeout=connection_timeout,
            read_timeout=read_timeout,
            max_retries=max_attempts,
            bandwidth=bandwidth,
            proxy=proxy,
            cert_bundle=None if cert_bundle is None else os.fspath(cert_bundle),
        )
        settings = resolve(flags, os.environ, home_directory(), command=("os", "object", "put"))
        for text in settings.notices:
            listener(Notice(text))
        return cls(settings, listener=listener)

    @classmethod
    def from_credentials(
        cls,
        credentials: CredentialProvider,
        *,
        region: str | None = None,
        endpoint: str | None = None,
        allow_plain_http: bool = False,
        bandwidth: str | None = None,
        proxy: str | None = None,
        cert_bundle: str | Path | None = None,
        listener: Listener = ignore,
    ) -> Self:
        """A client that is signed by someone else's credentials: no profile and no file is needed.

        For a process that has no login of its own, such as a worker of a Dask cluster
        (docs/dask.md). `credentials` stay the caller's, and open. `region` is the provider's when
        None, or that of the environment. The rest is as in `from_profile`.

        Raises ConfigError when no region or endpoint is known, UsageError for what is wrong.
        """
        flags = Flags(
            auth="instance_principal",  # as for those, no section of a config file is needed
            region=region or getattr(credentials, "region", None),
            endpoint=endpoint,
            allow_plain_http=allow_plain_http,
            bandwidth=bandwidth,
            proxy=proxy,
            cert_bundle=None if cert_bundle is None else os.fspath(cert_bundle),
        )
        settings = resolve(flags, os.environ, home_directory(), command=("os", "object", "put"))
        return cls(settings, listener=listener, credentials=credentials)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session's renewal and close connections and journal; harmless when repeated."""
        self._resources.close()

    # What it owns

    @property
    def session(self) -> Session | None:
        """The session that signs; None where an API key or a principal of the SDK does.

        Raises CredentialError when key or token are unusable.
        """
        return self._resources.session()

    @property
    def storage(self) -> StorageClient:
        """Object Storage, one method per operation, signed by the session at each attempt.

        Raises CredentialError when key or token are unusable, ConfigError.
        """
        return self._resources.storage()

    @property
    def namespace(self) -> str:
        """The tenancy's Object Storage namespace; asked for once."""
        return self._resources.namespace(self.storage)

    # What it does

    def upload(
        self,
        source: "str | Path | Stream",
        bucket: str,
        name: str | None = None,
        *,
        namespace: str | None = None,
        confirm: "Confirm | None" = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
        executor: "distributed.Client | None" = None,
        allow_plain_tcp: bool = False,
        **options: "Unpack[UploadOptions]",
    ) -> "UploadResult":
        """Upload one file or stream as an object, and return when the service has it whole.

        The object is called `name`, or else as the file. A binary file object is read from where
        it stands to its end, once; it needs a `name`, and nothing is stored when it fails. An
        object that is there raises ObjectExistsError, unless `confirm`, which is asked with what is
        there, returns True, or `existing` says otherwise.

        Called again after it was stopped or killed, it resumes: parts that the service has are not
        sent again. The journal for that is the command line's, so either resumes what the other
        has begun, and waits while the other is at the same object. Where it cannot be opened, the
        upload begins anew, and `listener` hears a Notice. A stream is always begun anew.

        Options (default), sizes in bytes: existing (IfExists.ASK), if_match (None),
        part_size (None: 10 to 128 MiB by size), multipart (True), parallel (10), adaptive (False),
        verify_checksum (False), checksum_algorithm (None), content_md5, content_crc32c,
        content_sha256, content_sha384 (None: base64 of the whole), expected_size (None),
        storage_tier (None), metadata ({}), content_type, content_language, content_encoding,
        content_disposition, cache_control (None), kms_key_id (None), sse_customer_key (None),
        resume (True), restart (False), wait (True), upload_id (None), receipt (None),
        outlive_session (False), expected_rate (None: bytes per second), memory_limit (256 MiB),
        spool_dir (None). `ocihaul.options.UploadOptions` says what each does.

        Raises UsageError, ConfigError, SourceError (SourceChangedError when it is not what was
        begun: `restart=True` begins anew), ChecksumError, ObjectExistsError,
        TransferInProgressError (with `wait=False`), UploadIncompleteError, ReceiptError (it is
        stored), TransferCancelled.
        """
        from ocihaul.options import UploadOptions, checked  # noqa: PLC0415
        from ocihaul.transfer.upload.request import upload_request  # noqa: PLC0415

        given = checked(options, UploadOptions)
        resume = given.pop("resume", True)
        if not name and isinstance(source, (str, Path)):
            name = from_disk(os.fsencode(Path(source).name))
        request = upload_request(source, bucket, name, namespace or "", given)
        return self.run_upload(
            request,
            confirm=confirm,
            resume=resume,
            listener=listener,
            cancel=cancel,
            executor=executor,
            allow_plain_tcp=allow_plain_tcp,
        )

    def run_upload(
        self,
        request: "UploadRequest",
        *,
        confirm: "Confirm | None" = None,
        before: Callable[[int | None], None] | None = None,
        resume: bool = True,
        compare_kept: bool = False,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
        executor: "distributed.Client | None" = None,
        allow_plain_tcp: bool = False,
    ) -> "UploadResult":
        """`upload` for those who have made the request; an empty namespace is the client's own.

        `before` is called with the size, as far as it is known, before anything is sent, and may
        raise. With `compare_kept`, an object that is kept is compared with the file: see `same` of
        ObjectExistsError.
        """
        from ocihaul.transfer.upload.upload import upload  # noqa: PLC0415

        with (
            self._resources.call(cancel, listener, adaptive=request.adaptive, meter=True) as call,
            self._workers(executor, call, request, allow_plain_tcp=allow_plain_tcp) as workers,
        ):
            namespace = request.namespace or self._resources.namespace(call.storage)
            try:
                return upload(
                    call.storage,
                    replace(request, namespace=namespace),
                    listener=call.listener,
                    confirm=confirm,
                    stop=call.stop,
                    before=before,
                    journal=self._resources.journal(call.listener) if resume else None,
                    monitor=call.monitor,
                    executor=workers,
                )
            except ObjectExistsError as error:
                if compare_kept and request.stream is None and error.size is not None:
                    from ocihaul.directories.compare import compare_file  # noqa: PLC0415

                    error.same = compare_file(
                        request.source,
                        error.size,
                        error.headers,
                        part_size=request.part_size or _LIKELIEST_PART,
                        stop=call.stop,
                    )
                raise

    def download(
        self,
        bucket: str,
        name: str,
        target: str | Path | BinaryIO,
        *,
        namespace: str | None = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
        executor: "distributed.Client | None" = None,
        allow_plain_tcp: bool = False,
        **options: "Unpack[DownloadOptions]",
    ) -> "DownloadResult":
        """Download one object to a file, and return when all of it is there and compared.

        A file at `target` is replaced once the object is complete; called again after it was
        stopped, it resumes with what is there. A binary stream gets the bytes in order.

        Options (default), sizes in bytes: version_id, if_match, if_none_match, byte_range (None),
        part_size (None: 10 to 128 MiB by size), threshold (None: two parts), parallel (10),
        adaptive (False), multipart (True), verify (True), restart (False), wait (True),
        restore (False), restore_hours (None), sse_customer_key (None), response_headers ({}).
        `ocihaul.options.DownloadOptions` says what each does.

        Raises UsageError, ConfigError, LocalFileError, ChecksumError, ObjectArchivedError,
        ObjectChangedError, TransferInProgressError (with `wait=False`), TransferCancelled.
        """
        from ocihaul.options import DownloadOptions, checked  # noqa: PLC0415
        from ocihaul.transfer.download.request import DownloadRequest  # noqa: PLC0415

        request = DownloadRequest(
            namespace=namespace or "",
            bucket=bucket,
            name=name,
            target=Path(target) if isinstance(target, (str, os.PathLike)) else target,
            **checked(options, DownloadOptions),
        )
        return self.run_download(
            request,
            listener=listener,
            cancel=cancel,
            executor=executor,
            allow_plain_tcp=allow_plain_tcp,
        )

    def run_download(
        self,
        request: "DownloadRequest",
        *,
        before: Callable[[int | None], None] | None = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
        executor: "distributed.Client | None" = None,
        allow_plain_tcp: bool = False,
    ) -> "DownloadResult":
        """`download` for those who have made the request; see `run_upload`."""
        from ocihaul.transfer.download.download import download  # noqa: PLC0415

        with (
            self._resources.call(cancel, listener, adaptive=request.adaptive, meter=True) as call,
            self._workers(executor, call, request, allow_plain_tcp=allow_plain_tcp) as workers,
        ):
            namespace = request.namespace or self._resources.namespace(call.storage)
            return download(
                call.storage,
                replace(request, namespace=namespace),
                listener=call.listener,
                stop=call.stop,
                before=before,
                monitor=call.monitor,
                executor=workers,
            )

    def upload_directory(
        self,
        directory: str | Path,
        bucket: str,
        *,
        prefix: str = "",
        namespace: str | None = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
        executor: "distributed.Client | None" = None,
        allow_plain_tcp: bool = False,
        **options: "Unpack[DirectoryUploadOptions]",
    ) -> "DirectoryResult":
        """Upload all files below a directory, and return when each was tried.

        An object is called as its file's path below `directory`, behind `prefix`. Empty
        directories become objects whose names end with "/". A file that fails does not stop the
        others and raises nothing: see `DirectoryResult.failures`. Called again after it was
        stopped or killed, it resumes, as the command line does, and with the same files in the
        state directory. Where these cannot be used, `listener` hears a Notice.

        Options (default), sizes in bytes: mode (SyncMode.SYNC), include, exclude (()),
        checksum (False), delete (False), dry_run (False), parallel (10), adaptive (False),
        follow_links (True), shard (None; "I/N" or "auto"), part_size (None),
        multipart (True), verify_checksum (False), metadata ({}), storage_tier (None),
        content_type (None; "auto" guesses), content_language, content_encoding,
        content_disposition, cache_control (None), kms_key_id (None), sse_customer_key (None).
        `ocihaul.options.DirectoryUploadOptions` says what each does.

        Raises what concerns all files: UsageError before anything is sent; ConfigError,
        JournalError when there is no room for the results, TransferCancelled.
        """
        from ocihaul.directories.listing import check_root  # noqa: PLC0415
        from ocihaul.directories.request import upload_of  # noqa: PLC0415
        from ocihaul.options import DirectoryUploadOptions, checked  # noqa: PLC0415

        given = checked(options, DirectoryUploadOptions)
        adaptive = given.pop("adaptive", False if "parallel" in given else None)
        root = os.fspath(directory)
        check_root(root, parameter="directory")
        request = upload_of(root, bucket, prefix, namespace or "", given)
        return self.run_directory(
            request,
            adaptive=adaptive,
            listener=listener,
            cancel=cancel,
            executor=executor,
            allow_plain_tcp=allow_plain_tcp,
        )

    def download_directory(
        self,
        bucket: str,
        directory: str | Path,
        *,
        prefix: str = "",
        namespace: str | None = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
        executor: "distributed.Client | None" = None,
        allow_plain_tcp: bool = False,
        **options: "Unpack[DirectoryDownloadOptions]",
    ) -> "DirectoryResult":
        """Download all objects under a prefix, and return when each was tried.

        A file is called as its object without `prefix`, below `directory`, which is made; it gets
        its object's time. A name that ends with "/" becomes a directory, and archived objects are
        skipped. Nothing is ever written outside of `directory`.

        Options (default), sizes in bytes: mode (SyncMode.SYNC), include, exclude (()),
        checksum (False), delete (False), dry_run (False), parallel (10), adaptive (False),
        follow_links (True), shard (None; "I/N" or "auto"), part_size (None),
        multipart (True), sse_customer_key (None).
        `ocihaul.options.DirectoryDownloadOptions` says what each does.

        Raises as `upload_directory`, and LocalFileError when the directory cannot be made or its
        disk fails.
        """
        from ocihaul.directories.destination import check_root  # noqa: PLC0415
        from ocihaul.directories.request import download_of  # noqa: PLC0415
        from ocihaul.options import DirectoryDownloadOptions, checked  # noqa: PLC0415

        given = checked(options, DirectoryDownloadOptions)
        adaptive = given.pop("adaptive", False if "parallel" in given else None)
        root = os.fspath(directory)
        check_root(root, parameter="directory")
        request = download_of(bucket, root, prefix, namespace or "", given)
        return self.run_directory(
            request,
            adaptive=adaptive,
            listener=listener,
            cancel=cancel,
            executor=executor,
            allow_plain_tcp=allow_plain_tcp,
        )

    def run_directory(
        self,
        request: "DirectoryRequest",
        *,
        hooks: "Hooks | None" = None,
        adaptive: bool | None = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
        executor: "distributed.Client | None" = None,
        allow_plain_tcp: bool = False,
    ) -> "DirectoryResult":
        """`upload_directory`, `download_directory` or a deletion for callers with a request.

        An empty namespace is the client's own. With `hooks` the caller has a say in what is
        replaced and deleted, and can read all results. `adaptive`: the line and the service say
        how many go at a time (True), of small files from 10 to 32 (None), or the request's number
        does (False). Fewer go where the service asks for that or, of small files, the processor is
        full.
        """
        from ocihaul.directories.run import NO_HOOKS, in_namespace, run  # noqa: PLC0415
        from ocihaul.transfer.monitor import for_directory  # noqa: PLC0415

        # Other machines are counted by themselves.
        counted = executor is None or adaptive is not False
        concurrency = for_directory(adaptive, request.parallel) if counted else None
        with (
            self._resources.call(cancel, listener, concurrency=concurrency) as call,
            self._workers(executor, call, request, allow_plain_tcp=allow_plain_tcp) as workers,
        ):
            journal = None if request.dry_run else self._resources.journal(call.listener)
            return run(
                in_namespace(request, lambda: self._resources.namespace(call.storage)),
                call.storage,
                listener=call.listener,
                stop=call.stop,
                journal=journal,
                pace=concurrency,
                small_only=adaptive is None,
                hooks=hooks or NO_HOOKS,
                executor=workers,
            )

    def _workers(
        self,
        executor: "distributed.Client | None",
        call: CallScope,
        request: "UploadRequest | DownloadRequest | DirectoryRequest",
        *,
        allow_plain_tcp: bool,
    ) -> "AbstractContextManager[ClusterExecutor | None]":
        """The workers of a cluster with this client's session; None without a cluster."""
        if executor is None:
            return nullcontext()
        from ocihaul.integrations.extras import DASK, require  # noqa: PLC0415

        require(DASK, by="executor")
        from ocihaul.cluster.executor import check_request, cluster_executor  # noqa: PLC0415

        check_request(request)
        return cluster_executor(
            executor,
            self._resources.settings,
            self._resources.session(),
            call,
            request,
            own_namespace=lambda: self._resources.namespace(call.storage),
            allow_plain_tcp=allow_plain_tcp,
        )

    def verify(
        self,
        receipt: str | Path,
        *,
        file: str | Path | None = None,
        stored: bool = True,
        sse_customer_key: SseCustomerKey | None = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
    ) -> "Verification":
        """Compare a local file and the object on the service with the receipt of their upload.

        Only what is asked for is looked at: `file` is read once, and for the `stored` object one
        HeadObject is made, which an archived object answers, too. The request goes where the
        configuration leads, not to the receipt's endpoint: a credential goes nowhere else. Where
        the two differ, `listener` hears a Notice.

        Raises ReceiptError when the receipt cannot be read, SourceError and SourceChangedError,
        UsageError when a customer's key is missing.
        """
        from ocihaul.transfer.receipt_check import (  # noqa: PLC0415
            Verification,
            load_receipt,
            verify_file,
            verify_object,
        )

        proof = load_receipt(Path(receipt))
        about_file = about_object = None
        if stored:
            with self._resources.call(cancel, listener) as call:
                endpoint = call.storage.base_url(proof.target.namespace)
                if endpoint != proof.target.endpoint:
                    stored_at = f"The object was stored at {proof.target.endpoint}"
                    call.listener(Notice(f"{stored_at}; asking {endpoint}."))
                about_object = verify_object(proof, call.storage, key=sse_customer_key)
        if file is not None:
            about_file = verify_file(proof, Path(file), stop=self._resources.stop_for(cancel))
        return Verification(proof, about_file, about_object)

    def list_objects(
        self,
        bucket: str,
        *,
        prefix: str | None = None,
        namespace: str | None = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
    ) -> Iterator[ListedObject]:
        """The objects under a prefix in the order of their names' bytes, page by page.

        Entries that cannot be used are left out, and a Notice says which.
        """
        with self._resources.call(cancel, listener) as call:
            where = (namespace or self._resources.namespace(call.storage), bucket)
            for page in call.storage.list_objects(*where, Selection(prefix=prefix)):
                for reason in page.odd:
                    call.listener(Notice(f"an entry of the list is left out: {reason}"))
                yield from page.objects

    def head_object(
        self,
        bucket: str,
        name: str,
        *,
        version_id: str | None = None,
        sse_customer_key: SseCustomerKey | None = None,
        namespace: str | None = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
    ) -> ObjectSummary:
        """An object's size, etag and headers, its bytes left where they are.

        Raises ServiceError with status 404 when there is none.
        """
        headers = sse_customer_key.headers() if sse_customer_key else {}
        with self._resources.call(cancel, listener) as call:
            where = (namespace or self._resources.namespace(call.storage), bucket, name)
            return call.storage.head_object(*where, headers, version_id=version_id)

    def delete_object(
        self,
        bucket: str,
        name: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        namespace: str | None = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
    ) -> None:
        """Delete an object, or one version of it for good; only with etag `if_match`, if given.

        Raises ServiceError with status 404 when there is none, 412 when it has another etag.
        """
        with self._resources.call(cancel, listener) as call:
            where = (namespace or self._resources.namespace(call.storage), bucket, name)
            call.storage.delete_object(*where, version_id=version_id, if_match=if_match)

    def list_incomplete_uploads(
        self,
        bucket: str,
        *,
        namespace: str | None = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
    ) -> Iterator[UploadSummary]:
        """The multipart uploads that were neither committed nor aborted; their parts are billed."""
        with self._resources.call(cancel, listener) as call:
            where = (namespace or self._resources.namespace(call.storage), bucket)
            yield from call.storage.list_multipart_uploads(*where)

    def find_incomplete_uploads(
        self,
        buckets: Collection[str] = (),
        *,
        namespace: str | None = None,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
    ) -> "list[IncompleteUpload]":
        """The uploads begun and not finished, of the journal and the service, the oldest first.

        The service is asked for those in `buckets`, or else in the buckets of the journal's.
        Raises JournalError.
        """
        from ocihaul.transfer.journal.journal import Journal, state_directory  # noqa: PLC0415
        from ocihaul.transfer.upload.incomplete import known_buckets, list_all  # noqa: PLC0415

        with self._resources.call(cancel, listener) as call, Journal(state_directory()) as journal:
            if buckets:
                own = namespace or self._resources.namespace(call.storage)
                where = [(own, each) for each in buckets]
            else:
                where = known_buckets(journal, call.storage)
            return list_all(journal, call.storage, where)

    def abort_incomplete_upload(
        self,
        upload: "IncompleteUpload",
        *,
        listener: Listener = ignore,
        cancel: threading.Event | None = None,
    ) -> None:
        """Drop one with its parts, at the service and in the journal.

        Raises TransferInProgressError when a process on this machine is at it, UsageError when it
        is at another endpoint, JournalError.
        """
        from ocihaul.transfer.journal.journal import Journal, state_directory  # noqa: PLC0415
        from ocihaul.transfer.upload.incomplete import abort  # noqa: PLC0415

        with self._resources.call(cancel, listener) as call, Journal(state_directory()) as journal:
            abort(upload, journal, call.storage, call.listener)


def find_incomplete_uploads_here() -> "list[IncompleteUpload]":
    """The uploads of the journal that were not finished, the oldest first; nothing is asked.

    Raises JournalError. `Client.find_incomplete_uploads` has the service's, too.
    """
    from ocihaul.transfer.journal.journal import Journal, state_directory  # noqa: PLC0415
    from ocihaul.transfer.upload.incomplete import list_in_journal  # noqa: PLC0415

    with Journal(state_directory()) as journal:
        return list_in_journal(journal)


def forget_incomplete_upload(upload: "IncompleteUpload", *, listener: Listener = ignore) -> None:
    """Drop one from the journal alone; `listener` hears of a pre-authenticated request it has.

    Raises JournalError, and TransferInProgressError when a process on this machine is at it.
    """
    from ocihaul.transfer.journal.journal import Journal, state_directory  # noqa: PLC0415
    from ocihaul.transfer.upload.incomplete import forget  # noqa: PLC0415

    with Journal(state_directory()) as journal:
        forget(upload, journal, listener)


def client_for(options: Any, listener: Listener | None) -> tuple[Client, Any]:
    """A client by those of the options of a call that are about it, and the rest of them."""
    from ocihaul.options import ProfileOptions  # noqa: PLC0415

    about = {name: options[name] for name in options if name in ProfileOptions.__annotations__}
    rest = {name: options[name] for name in options if name not in about}
    return Client.from_profile(**about, listener=listener or ignore), rest


def verify_file(
    receipt: str | Path, file: str | Path | None, cancel: threading.Event | None
) -> "Verification":
    """Compare a file with a receipt; neither a profile nor a service is needed."""
    from ocihaul.transfer.receipt_check import verify_here  # noqa: PLC0415

    return verify_here(Path(receipt), file, stop=cancel or threading.Event())
