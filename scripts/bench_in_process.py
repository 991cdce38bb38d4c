"""The parts of scripts/bench-writes without a server: varve's engine and RocksDB, each driven in a
process of its own by threads, with the same flags (engine_bench and db_bench)."""
import re
import shutil
import subprocess

from bench_engines import command_line, rates_in
from bench_memory import PageCacheDrops, limit_memory
from bench_rows import progress
from bench_sampler import Sampler
from bench_server import ROOT
from bench_tables import print_cells, say
from bench_timeline import Panel, minute_means, read_seconds, steadiness, write_svg

ENGINES = ("varve", "rocksdb")
# RocksDB keeps memtables, indexes and filters besides its cache of blocks; varve's limit has all.
ROCKSDB_WRITE_BUFFERS = 3
# As its tuning guide advises for a steady load.
ROCKSDB_FLAGS = {"max_background_jobs": 2, "level_compaction_dynamic_level_bytes": 1,
                 "bytes_per_sync": 1 << 20, "wal_bytes_per_sync": 1 << 20,
                 "compression_ratio": 0.5}


def engine_command(engine, directory, workloads, arguments, **flags):
    cache_mb = arguments.memory_mb
    if engine == "rocksdb":
        cache_mb -= ROCKSDB_WRITE_BUFFERS * arguments.write_buffer_mb
        flags = ROCKSDB_FLAGS | flags
    return command_line(engine, directory, workloads, num=arguments.rows,
                        value_size=arguments.value_bytes,
                        write_buffer_size=arguments.write_buffer_mb << 20,
                        cache_size=cache_mb << 20, **flags)


class Run:
    """Of one engine in a directory that the next run may use again."""

    def __init__(self, engine, arguments):
        self.engine, self.arguments = engine, arguments
        self.directory = arguments.directory / engine
        self.directory.mkdir()
        self.memory = limit_memory(arguments.memory_mb << 20) or PageCacheDrops()
        self.commands, self.sampler = [], None

    def run(self, *workloads, **flags):
        """Its output; `sampler` has watched the directory."""
        command = engine_command(self.engine, self.directory, workloads, self.arguments, **flags)
        self.commands.append(" ".join(command).replace(str(self.directory), "<directory>")
                             .replace(f"{ROOT}/", ""))
        with self.memory.keep_out(self.directory, True), Sampler(self.directory) as self.sampler:
            result = subprocess.run(command, capture_output=True, text=True, check=False,
                                    preexec_fn=self.memory.enter)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}:\n{result.stdout}{result.stderr}")
        progress(f"{self.engine}: {', '.join(workloads)} done")
        return result.stdout

    def close(self):
        self.memory.remove()
        shutil.rmtree(self.directory, ignore_errors=True)


def number_in(pattern, output):
    match = re.search(pattern, output)
    return float(match.group(1)) if match else None


def bytes_written_in(engine, output):
    """By flushes and compactions, after a workload `stats`."""
    if engine == "rocksdb":
        return number_in(r"Cumulative compaction: ([\d.]+) GB write", output) * 2**30
    return number_in(r"flushed (\d+) bytes", output) + \
        number_in(r"compacted \d+ to (\d+)", output)


def worst_us_in(engine, output):
    """Of an operation: db_bench's histogram, or engine_bench's line of latencies."""
    return number_in(r"Min: .* Max: ([\d.]+)" if engine == "rocksdb" else r"max ([\d.]+)", output)


def p99_us_in(engine, output):
    return number_in(r"P99: ([\d.]+)" if engine == "rocksdb" else r"p99 ([\d.]+)", output)


def overwrite(engine, arguments):
    """Fills a store with each key once, then overwrites; a result for the table."""
    seconds_path = arguments.results / f"engine-{engine}-seconds.csv"
    seconds = round(60 * arguments.minutes)
    run = Run(engine, arguments)
    flags = {"histogram": 1, "report_interval_seconds": 1} if engine == "rocksdb" else {}
    try:
        run.run("filluniquerandom", "waitforcompaction", threads=1)
        output = run.run("overwrite", "stats", use_existing_db=1, threads=arguments.clients,
                         duration=seconds, report_file=seconds_path, **flags)
        rate = rates_in(output)["overwrite"]
        column = "interval_qps" if engine == "rocksdb" else "requests"
        row_bytes = rate * seconds * (16 + arguments.value_bytes)
        return {"rate": rate, "worst_ms": worst_us_in(engine, output) / 1e3,
                "p99_us": p99_us_in(engine, output),
                "amplification": bytes_written_in(engine, output) / row_bytes,
                "files": run.sampler.largest("table_files"),
                "stalled": number_in(r"Cumulative stall: .* ([\d.]+) percent", output),
                "rates": read_seconds(seconds_path, column)[0], "commands": run.commands,
                "memory": run.memory.describe()}
    finally:
        run.close()


def show_rocksdb(arguments):
    results = {engine: overwrite(engine, arguments) for engine in ENGINES}
    varve, rocksdb = (results[engine] for engine in ENGINES)
    raw_bytes = arguments.rows * (16 + arguments.value_bytes)

    def line(name, text, target=""):
        return [name] + [text(results[engine]) for engine in ENGINES] + [target]

    ratio = varve["rate"] / rocksdb["rate"]
    print_cells(
        f"{arguments.minutes:g} minutes of uniform overwrites of {arguments.rows:,} rows by "
        f"{arguments.clients} threads, one row at a time",
        ["what", *ENGINES, "varve / rocksdb"], [
            line("rate, per s", lambda one: f"{one['rate']:,.0f}", f"{ratio:.2f} (target: >= 1.5)"),
            line("slowest 10 s / median 10 s", lambda one: steadiness(one["rates"])),
            line("first minute; last minute",
                 lambda one: "; ".join(f"{mean:,.0f}" for mean in minute_means(one["rates"]))),
            line("p99, us", lambda one: f"{one['p99_us']:,.1f}"),
            line("worst operation, ms", lambda one: f"{one['worst_ms']:,.1f}",
                 f"{varve['worst_ms'] / rocksdb['worst_ms']:.2f} (target: < 1)"),
            line("bytes written / bytes of rows", lambda one: f"{one['amplification']:.2f}"),
            line("table files at most / raw live data",
                 lambda one: f"{one['files'] / raw_bytes:.2f}"),
            line("stalled by its own count, % of the time",
                 lambda one: "" if one["stalled"] is None else f"{one['stalled']:.1f}")])
    say_memory(arguments, varve["memory"])
    print_commands(command for one in results.values() for command in one["commands"])
    path = arguments.results / "engines.svg"
    top = max(max(one["rates"]) for one in results.values())
    write_svg(path, f"Overwrites of {arguments.rows / 1e6:g} M rows of {arguments.value_bytes} "
                    f"bytes, in process, {arguments.clients} threads",
              [Panel(f"{engine}: operations per second (bold: means of 10 s)",
                     [("", one["rates"])], means=True, top=top)
               for engine, one in results.items()])
    say(f"drawn: {path.relative_to(ROOT)}")


def print_commands(commands):
    print("\n```", *commands, "```", sep="\n", flush=True)


def say_memory(arguments, memory):
    say(f"Memory: varve's limit for all is {arguments.memory_mb} MiB. RocksDB has write buffers of",
        f"{arguments.write_buffer_mb} MiB (two at most), a block cache of",
        f"{arguments.memory_mb - ROCKSDB_WRITE_BUFFERS * arguments.write_buffer_mb} MiB, and what",
        f"indexes and filters need. Page cache: {memory}.")


def show_fill(arguments):
    rates, commands = {}, []
    for engine in ENGINES:
        run = Run(engine, arguments)
        try:
            rates[engine] = rates_in(run.run("fillrandom", threads=1))["fillrandom"]
            commands += run.commands
        finally:
            run.close()
    ratio = rates["varve"] / rates["rocksdb"]
    print_cells(f"fillrandom of {arguments.rows:,} rows of {arguments.value_bytes} bytes, one "
                "thread", ["what", *ENGINES, "varve / rocksdb"],
                [["per s", *(f"{rates[engine]:,.0f}" for engine in ENGINES),
                  f"{ratio:.2f} (target: >= 2)"]])
    print_commands(commands)
