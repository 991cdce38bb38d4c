"""Keeps a server's data out of memory while scripts/bench-cold and bench-writes measure: by a limit
that holds for the server and the page cache together, or else by dropping the page cache again and
again."""
import contextlib
import os
import pathlib
import threading
import time

DROP_INTERVAL_S = 0.5
TABLE_SUFFIXES = (".sst", ".val")


def drop_page_cache(directory):
    """Of tables and value files in `directory`; what other programs have in the page cache stays
    there."""
    for path in pathlib.Path(directory).iterdir():
        if path.suffix not in TABLE_SUFFIXES:
            continue
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # a compaction has just removed it
            continue
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


class Cgroup:
    """A cgroup v2 with a limit, for processes that enter() it. `path` is new."""

    def __init__(self, path, limit_bytes):
        self.path, self.limit_bytes = path, limit_bytes
        self.path.mkdir()
        try:
            (self.path / "memory.max").write_text(str(limit_bytes))
            swap = self.path / "memory.swap.max"
            if swap.exists():
                swap.write_text("0")
        except OSError:
            self.path.rmdir()
            raise

    def enter(self):
        (self.path / "cgroup.procs").write_text("0")

    def describe(self):
        return f"cgroup v2, memory.max {self.limit_bytes >> 20} MiB for server and page cache"

    def keep_out(self, _directory, _again):
        return contextlib.nullcontext()

    def remove(self):
        for _ in range(100):  # the kernel takes a moment after the last process has ended
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.05)


class PageCacheDrops:
    """What remains without a cgroup: `maxmemory` limits the server, and the page cache of its
    tables is dropped before each measurement and while it runs."""

    enter = None

    def describe(self):
        return ("no cgroup v2 with a memory controller to be had: the tables' pages are dropped "
                "from the page cache (posix_fadvise) before each measurement, and every "
                f"{DROP_INTERVAL_S} s in it, but not in a SCAN, which reads nothing twice")

    @contextlib.contextmanager
    def keep_out(self, directory, again):
        """Within it the data stay on disk; `again`: also what is read meanwhile."""
        drop_page_cache(directory)
        if not again:
            yield
            return
        ended = threading.Event()

        def drop():
            while not ended.wait(DROP_INTERVAL_S):
                drop_page_cache(directory)

        dropper = threading.Thread(target=drop)
        dropper.start()
        try:
            yield
        finally:
            ended.set()
            dropper.join()

    def remove(self):
        pass


class PageCacheAllowed(PageCacheDrops):
    """No limit but the server's own `maxmemory`."""

    def describe(self):
        return "page cache not limited"

    def keep_out(self, _directory, _again):
        return contextlib.nullcontext()


def cgroup_parents():
    """Where a cgroup with a memory limit could be made: this process's own cgroup and those above
    it that hand the memory controller down."""
    mount = next((fields[1] for fields in map(str.split, open("/proc/self/mounts"))
                  if fields[2] == "cgroup2"), None)
    own = next((line.rstrip("\n").split(":", 2)[2] for line in open("/proc/self/cgroup")
                if line.startswith("0::")), None)
    if mount is None or own is None:
        return
    path, root = pathlib.Path(mount + own), pathlib.Path(mount)
    for parent in [path, *path.parents]:
        with contextlib.suppress(OSError):
            if "memory" in (parent / "cgroup.subtree_control").read_text().split():
                yield parent
        if parent == root:
            return


def limit_memory(limit_bytes):
    """A Cgroup where one may be made, or None."""
    for parent in cgroup_parents():
        with contextlib.suppress(OSError):
            return Cgroup(parent / f"varve-bench-{os.getpid()}", limit_bytes)
    return None
