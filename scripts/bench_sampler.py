"""Looks at a data directory, and at the INFO of the server on it, each second of a run."""
import csv
import os
import pathlib
import threading
import time

from bench_memory import TABLE_SUFFIXES

INTERVAL_S = 1
# Fields of INFO: what was written to files other than the log. Those that a server lacks count 0.
WRITTEN = ("flush_bytes_written", "compaction_bytes_written", "value_bytes_written")
KEPT = (*WRITTEN, "compaction_bytes_read", "compaction_debt", "sealed_memtables", "write_delay_us",
        "compactions_running", "write_waits", "longest_write_wait_us", "table_bytes", "wal_bytes")


def bytes_in(directory):
    """What the files occupy: tables, log, all. A value file counts as a table does."""
    tables = wal = everything = 0
    for path, _, names in os.walk(directory):
        for name in names:
            try:
                size = os.stat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:  # a compaction has just removed it
                continue
            everything += size
            if name.startswith("wal") or name.endswith(".log"):
                wal += size
            elif name.endswith(TABLE_SUFFIXES):
                tables += size
    return {"table_files": tables, "wal_files": wal, "all_files": everything}


def level_bytes(info):
    """Of each level, as far down as there are tables."""
    sizes = []
    while f"level{len(sizes)}" in info:
        fields = dict(pair.split("=") for pair in info[f"level{len(sizes)}"].split(","))
        sizes.append(int(fields["bytes"]))
    while sizes and sizes[-1] == 0:
        sizes.pop()
    return sizes


def bytes_written(info):
    return sum(int(info.get(name, 0)) for name in WRITTEN)


def file_bytes_written(pid):
    """By a process to all its files, the log too, as the kernel counts."""
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


class Sampler:
    """Between `with` and its end. `samples`: a dict for each second."""

    def __init__(self, directory, server=None):
        self.directory, self.server = directory, server
        self.samples = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.started = time.monotonic()
        self.sample()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.sample()

    def run(self):
        while not self.ended.wait(INTERVAL_S - (time.monotonic() - self.started) % INTERVAL_S):
            self.sample()

    def sample(self):
        sample = {"second": round(time.monotonic() - self.started, 2)} | bytes_in(self.directory)
        if self.server:
            info = self.server.info("engine")
            sample |= {name: int(info.get(name, 0)) for name in KEPT}
            sample["compaction_pressure"] = float(info["compaction_pressure"])
            sizes = level_bytes(info)
            sample["levels"] = " ".join(map(str, sizes))
        self.samples.append(sample)

    def largest(self, name):
        return max(sample[name] for sample in self.samples)

    def growth(self, name):
        return self.samples[-1][name] - self.samples[0][name]

    def written(self):
        return sum(self.growth(name) for name in WRITTEN)

    def write(self, path):
        with open(path, "w", newline="") as out:
            writer = csv.DictWriter(out, self.samples[0].keys())
            writer.writeheader()
            writer.writerows(self.samples)
