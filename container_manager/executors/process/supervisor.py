"""
The small process that runs one job, outlives the worker, and writes down how it ended.

A program of its own that needs only the standard library: ``python -I -S supervisor.py DIRECTORY``,
with a pipe to its starter as file descriptor 3. It starts the job itself, by the one rename that
it or a remover wins, under a lock that it keeps for life: so a starter that freezes or dies at
any point leaves either a job that was not started or one that is supervised, and whoever
finds ``started`` and a free lock knows that the supervisor is gone.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import selectors
import signal
import struct
import sys
import time
from typing import Any

REPORT = 3
STARTED, NOT_STARTED = b"S", b"N"
FRAME = struct.Struct(">BQI")
STDOUT, STDERR = 0, 1
PR_SET_CHILD_SUBREAPER = 36
READ_BYTES = 65_536
DRAIN_SECONDS = 2.0
DEFAULT_GRACE_SECONDS = 10.0


def write_file(path: str, values: dict[str, Any]) -> None:
    """``path`` holds ``values`` completely, on disk, or is not there."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def start_time(pid: int) -> str:
    """Field 22 of ``/proc/PID/stat``: with the boot, what tells a process from a later one of the same number."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


class Supervisor:
    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.spec = json.loads(self.read("spec.json"))
        self.child = 0
        self.kill_at: float | None = None
        self.output = os.open(self.path("output"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def read(self, name: str) -> str:
        with open(self.path(name)) as file:
            return file.read()

    def run(self) -> None:
        self.wakeup, write_end = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        write_file(self.path("supervisor.json"), {"pid": os.getpid(), "started": start_time(os.getpid())})
        started_at = time.time()
        if os.path.exists(self.path("stop.json")):
            self.finish(128 + signal.SIGTERM, started_at, None, "", "")
            return
        out, err, failure = self.spawn()
        self.pump(out, err)
        code, usage = self.collect()
        code, error = self.failure(failure, code)
        self.finish(code, started_at, usage, "config_error" if error else "", error)

    def spawn(self) -> tuple[int, int, str]:
        """The user's program runs in a session of its own, its id written down before it begins."""
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        failure_read, failure_write = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            try:
                os.setsid()
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
                    signal.signal(number, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                pid = os.getpid()
                write_file(self.path("child.json"), {"pid": pid, "started": start_time(pid)})
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(out_write, 1)
                os.dup2(err_write, 2)
                where, command = self.spec["working_directory"], self.spec["command"]
                os.chdir(where)
                where = ""
                os.execvpe(command[0], command, self.spec["environment"])  # noqa: S606 - no shell is the point
            except OSError as error:
                os.write(failure_write, f"{error.errno} {where}".encode())
            finally:
                os._exit(127)
        for end in (out_write, err_write, failure_write):
            os.close(end)
        with os.fdopen(failure_read) as file:
            failure = file.read()
        return out_read, err_read, failure

    def pump(self, out: int, err: int) -> None:
        """Output is appended as it comes, in the order of reading, until the program has ended and all is read."""
        selector = selectors.DefaultSelector()
        selector.register(self.wakeup, selectors.EVENT_READ)
        for stream, end in ((STDOUT, out), (STDERR, err)):
            os.set_blocking(end, False)
            selector.register(end, selectors.EVENT_READ, stream)
        open_streams, drain_until = 2, None
        while open_streams or drain_until is None:
            now = time.monotonic()
            if drain_until is not None and now >= drain_until:
                return
            for key, _ in selector.select(self.next_wait(now, drain_until)):
                if key.fd == self.wakeup:
                    os.read(self.wakeup, 4096)
                elif not self.copy(key.fd, key.data):
                    selector.unregister(key.fd)
                    open_streams -= 1
            self.heed_stop()
            if drain_until is None and os.waitid(os.P_PID, self.child, os.WEXITED | os.WNOWAIT | os.WNOHANG):
                # The program has ended: what it left behind ends too, as in a container.
                self.end_descendants()
                drain_until = time.monotonic() + DRAIN_SECONDS

    def next_wait(self, now: float, drain_until: float | None) -> float:
        # A stop is signalled; the look once a second is for a signal that came before the handler.
        until = [now + 1.0, *(moment for moment in (drain_until, self.kill_at) if moment is not None)]
        return max(0.0, min(until) - now)

    def copy(self, end: int, stream: int) -> bool:
        try:
            data = os.read(end, READ_BYTES)
        except BlockingIOError:
            return True
        if data:
            frame = FRAME.pack(stream, int(time.time() * 1_000_000), len(data)) + data
            try:
                os.write(self.output, frame)
            except OSError as error:
                # A full disk must not end the job.
                if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise
        return bool(data)

    def heed_stop(self) -> None:
        now = time.monotonic()
        if self.kill_at is None and os.path.exists(self.path("stop.json")):
            grace = json.loads(self.read("stop.json")).get("grace_seconds", DEFAULT_GRACE_SECONDS)
            self.kill_at = now + grace
            self.signal_group(signal.SIGTERM)
        elif self.kill_at is not None and now >= self.kill_at:
            self.signal_group(signal.SIGKILL)
            self.kill_at = now + 1.0

    def signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child, number)

    def end_descendants(self) -> None:
        self.signal_group(signal.SIGKILL)
        # Those that left the group came to us, their subreaper.
        for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
            if entry.isdigit() and int(entry) != self.child:
                try:
                    with open(f"/proc/{entry}/stat") as file:
                        parent = int(file.read().rpartition(")")[2].split()[1])
                    if parent == os.getpid():
                        os.kill(int(entry), signal.SIGKILL)
                except (OSError, ValueError):
                    continue

    def collect(self) -> tuple[int, resource.struct_rusage]:
        _, status, usage = os.wait4(self.child, 0)
        code = os.waitstatus_to_exitcode(status)
        return (128 - code if code < 0 else code), usage

    def failure(self, failure: str, code: int) -> tuple[int, str]:
        """What the child wrote when it could not become the user's program."""
        if not failure:
            return code, ""
        digits, _, where = failure.partition(" ")
        what = f"The working directory {where!r}" if where else f"The program {self.spec['command'][0]!r}"
        error = f"{what} cannot be used: {os.strerror(int(digits))}."
        return (127 if int(digits) == errno.ENOENT else 126), error

    def finish(
        self, code: int, started_at: float, usage: resource.struct_rusage | None, reason: str, error: str
    ) -> None:
        write_file(
            self.path("status.json"),
            {
                "exit_code": code,
                "reason": reason,
                "error": error,
                "started_at": started_at,
                "finished_at": time.time(),
                # Kilobytes on Linux, bytes on macOS.
                "memory_peak_bytes": usage and usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
                "cpu_seconds": usage and round(usage.ru_utime + usage.ru_stime, 3),
            },
        )


def win_start(directory: str) -> bool:
    """This process holds the lock and has made the one rename; false = another has, or it was removed."""
    ready = os.path.join(directory, "ready")
    try:
        lock = os.open(os.path.join(directory, "lock"), os.O_RDWR)
    except FileNotFoundError:
        return False
    while os.path.exists(ready):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # An observer's short look, or another supervisor: then it is not ready for long.
            time.sleep(0.001)
            continue
        with contextlib.suppress(FileNotFoundError):
            os.rename(ready, os.path.join(directory, "started"))
            return True
    return False


def main() -> None:
    os.set_inheritable(REPORT, False)
    os.closerange(REPORT + 1, 1024)
    with contextlib.suppress(PermissionError):
        os.setsid()
    is_ours = win_start(sys.argv[1])
    with contextlib.suppress(BrokenPipeError):
        os.write(REPORT, STARTED if is_ours else NOT_STARTED)
    os.close(REPORT)
    if not is_ours:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    Supervisor(sys.argv[1]).run()


if __name__ == "__main__":
    main()
