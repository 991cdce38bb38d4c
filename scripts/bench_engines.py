"""Command lines and output of the benchmarks that run a storage engine in their own process:
db_bench of RocksDB, and engine_bench and leveldb_bench of bench/, which have its flags and lines."""
import re

from bench_server import ROOT

BUILD = ROOT / "build" / "release"
LINE = re.compile(r"^(\w+)\s+:\s+[\d.]+ micros/op (\d+) ops/sec", re.MULTILINE)
NAMES_OF_ROCKSDB = {"scan": "readseq"}
BINARIES = {"varve": str(BUILD / "engine_bench"), "leveldb": str(BUILD / "leveldb_bench"),
            "rocksdb": "db_bench"}


def command_line(engine, directory, workloads, **flags):
    """Write-ahead log on and not synced, snappy, a filter of 10 bits and 16 bytes a key."""
    names = NAMES_OF_ROCKSDB if engine == "rocksdb" else {}
    flags = {"benchmarks": ",".join(names.get(name, name) for name in workloads),
             "db": directory, "key_size": 16} | flags
    if engine == "rocksdb":
        flags |= {"bloom_bits": 10, "compression_type": "snappy", "sync": 0, "disable_wal": 0}
    return [BINARIES[engine]] + [f"--{name}={value}" for name, value in flags.items()]


def rates_in(output):
    """Workload -> operations per second."""
    engines_own = {name: own for own, name in NAMES_OF_ROCKSDB.items()}
    return {engines_own.get(match.group(1), match.group(1)): float(match.group(2))
            for match in LINE.finditer(output)}
