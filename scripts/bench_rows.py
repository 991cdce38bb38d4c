"""Rows in a server of their own under the load of bench/load_client.cc: what scripts/bench-cold and
bench-writes measure with. What a reader of the figures must know besides is collected in ODD and
WARNINGS."""
import collections
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

from bench_memory import drop_page_cache
from bench_server import ROOT, VARVE, Server
from bench_tables import say

PATIENCE_S = 600  # this machine may have other things to do for a while
SETTLED_S = 12  # the engine looks every five seconds whether anybody writes
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
WARNING = re.compile(r"\d+:\w \d+ \w+ \d+ [\d:.]+ # (.*)")  # a line of the server's log

ODD = []  # what must not happen
WARNINGS = collections.Counter()  # in the servers' logs


def odd(text):
    ODD.append(text)
    print(f"  ODD: {text}", file=sys.stderr, flush=True)


def progress(text):
    print(f"  {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def exit_code():
    """Says what was odd, if anything; for the end of a script."""
    for text, times in WARNINGS.items():
        say(f"{times} x in the servers' logs: {text}")
    say(f"errors, wrong replies and the like: {len(ODD)}", *(f"\n- {text}" for text in ODD))
    return 1 if ODD else 0


def build(arguments, *more):
    """Server and load_client, but for those that the arguments name, and `more` targets."""
    subprocess.run([ROOT / "scripts" / "setup", "bench"], check=True, stdout=sys.stderr)
    targets = [] if arguments.server else ["varve-server"]
    targets += [] if arguments.client else ["load_client"]
    if targets or more:
        subprocess.run([ROOT / "scripts" / "build", "release", *targets, *more], check=True,
                       stdout=sys.stderr)
    arguments.server = arguments.server or str(VARVE)
    arguments.client = arguments.client or str(VARVE.parent / "load_client")


class LoadClient:
    """One run of load_client; words and options as its command line has them. `behind`: whoever
    else wants a core gets it first."""

    def __init__(self, binary, port, *words, behind=False, **options):
        command = [str(binary), *words, "--port", str(port)]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        self.command = " ".join(command[1:])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, text=True,
                                        preexec_fn=(lambda: os.nice(19)) if behind else None)

    def result(self, absent=False):
        """Waits for its end; what it printed, as a dict."""
        out, err = self.process.communicate()
        if not out:
            raise RuntimeError(f"load_client {self.command}:\n{err}")
        result = json.loads(out)
        for kind, first in (("errors", "first_error"), ("wrong", "first_wrong")):
            if result[kind]:
                odd(f"{kind}: {result[kind]}, first '{result[first]}': {self.command}")
        if absent and result["hits"]:
            odd(f"{result['hits']} of the absent keys have values: {self.command}")
        elif not absent and result["misses"]:
            odd(f"{result['misses']} keys were not found: {self.command}")
        return result

    def finish(self):
        """Ends a run that has no end of its own."""
        self.process.terminate()
        return self.result()


# --- what a measurement costs --------------------------------------------------------------------

def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def machine_cpu_seconds():
    """Of all processes and the kernel, without idling and waiting."""
    with open("/proc/stat") as lines:
        fields = [int(word) for word in next(lines).split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / CLOCK_TICKS


def bytes_read_by(pid):
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("read_bytes:"):
            return int(line.split()[1])
    return 0


def disk_reads(directory):
    """Reads that the disk below `directory` has completed; None where nobody says."""
    device = os.stat(directory).st_dev
    path = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    with contextlib.suppress(OSError):
        return int(path.read_text().split()[0])
    return None


class Snapshot:
    """Counters of the server and of the machine at one moment."""

    def __init__(self, server):
        self.info = server.info("engine")
        self.server_cpu, self.machine_cpu = cpu_seconds(server.process.pid), machine_cpu_seconds()
        self.bytes_read = bytes_read_by(server.process.pid)
        self.disk_reads = disk_reads(server.directory)
        self.time = time.monotonic()

    def add_costs(self, before, result):
        """Puts what happened since `before` beside what the client found."""
        elapsed = self.time - before.time
        server = self.server_cpu - before.server_cpu
        client = result["client_cpu_seconds"]
        others = self.machine_cpu - before.machine_cpu - server - client
        result["server_cores"], result["client_cores"] = server / elapsed, client / elapsed
        result["other_cores"] = max(0, others / elapsed)
        result["mb_read_per_s"] = (self.bytes_read - before.bytes_read) / elapsed / 1e6
        if self.disk_reads is not None:
            result["disk_reads_per_s"] = (self.disk_reads - before.disk_reads) / elapsed
        blocks, loads, joined = (int(self.info[name]) - int(before.info[name])
                                 for name in ("load_blocks_read", "loads", "loads_joined"))
        result["blocks_per_request"] = blocks / result["requests"]
        result["in_memory"] = 1 - (loads + joined) / result["requests"]
        result["cached_rows"] = int(self.info["row_cache_rows"])


# --- the rows ------------------------------------------------------------------------------------

class Rows:
    """`count` rows of one size in a directory of their own, and the server on it."""

    def __init__(self, arguments, count, value_bytes, memory, options):
        self.arguments, self.memory = arguments, memory
        self.count, self.value_bytes = count, value_bytes
        self.directory = arguments.directory / f"rows-{value_bytes}"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.parameters_path = arguments.directory / f"rows-{value_bytes}.json"
        self.parameters = {"rows": count, "value_bytes": value_bytes, "values": "half random, 1"}
        self.server = Server("varve", options + arguments.varve.split(),
                             directory=str(self.directory), binary=arguments.server,
                             enter=memory.enter)
        log = pathlib.Path(self.server.log_path)
        self.log_from = len(self.server.log()) if log.exists() else 0
        self.lives = []  # of servers: what for, seconds to the first PONG, peak MiB
        self.cold_keys_used = [0, 0]
        self.disk = None  # what the disk can do, once measured

    def start(self, purpose):
        """Anew if it runs, with nothing in the page cache."""
        self.stop()
        drop_page_cache(self.directory)
        self.lives.append([purpose, self.server.start(PATIENCE_S), 0])
        self.cold_keys_used = [0, 0]

    def stop(self):
        process = self.server.process
        if process is None or process.poll() is not None:
            return
        self.lives[-1][2] = self.server.resident_kb("VmHWM") / 1024
        if self.server.stop(PATIENCE_S) != 0:
            odd(f"the server ended with {process.returncode}")

    def close(self):
        try:
            self.stop()
        finally:
            self.server.close()
            self.memory.remove()
            for line in self.server.log()[self.log_from:].splitlines():
                warning = WARNING.match(line)
                if warning and "SIGTERM" not in line and "bye bye" not in line:
                    WARNINGS[re.sub(r"\d+", "N", warning.group(1))] += 1

    def number(self, name, section="engine"):
        return int(self.server.info(section)[name])

    # clients

    def client(self, *words, **options):
        options = {"keys": self.count, "value_bytes": self.value_bytes} | options
        return LoadClient(self.arguments.client, self.server.port, *words, **options)

    def measure(self, *words, absent=False, **options):
        """What the client found, and what that cost."""
        reads_again = words[0] != "scan"  # dropped in a scan would be what was read ahead
        with self.memory.keep_out(self.directory, reads_again):
            before = Snapshot(self.server)
            result = self.client(*words, **options).result(absent)
            Snapshot(self.server).add_costs(before, result)
        described = ", ".join(f"{name} {value}" for name, value in options.items()
                              if not name.endswith("_file"))
        progress(f"{words[0]}, {described}: {result['rate']:,.0f}/s, cores: server "
                 f"{result['server_cores']:.2f}, client {result['client_cores']:.2f}, others "
                 f"{result['other_cores']:.2f}")
        return result

    def cold(self, half):
        """Options that choose keys without repeats, from where no client of this server's life has
        been. Two clients at a time take one half of the keys each."""
        begin = half * (self.count // 2)
        return {"distribution": "once", "skip": begin + self.cold_keys_used[half]}

    def measure_cold(self, half, *words, **options):
        result = self.measure(*words, **self.cold(half), **options)
        self.cold_keys_used[half] += result["hits"]
        return result

    def open_tables(self):
        """Reads a little everywhere: a table's filter and index come with the first row wanted from
        it, and stay."""
        options = self.cold(0) | {"clients": 64, "requests": min(20_000, self.count // 50)}
        self.cold_keys_used[0] += self.client("get", **options).result()["hits"]

    def warm_up(self, limit_s, **options):
        """Until as many rows as the row cache holds have been replaced in it."""
        deadline, piece_s = time.monotonic() + limit_s, self.arguments.seconds / 4
        evicted, evicted_before = 0, self.number("row_cache_evictions")
        with self.memory.keep_out(self.directory, True):
            while time.monotonic() < deadline:
                self.client("get", clients=64, seconds=piece_s, **options).result()
                evicted = self.number("row_cache_evictions") - evicted_before
                if evicted >= self.number("row_cache_rows"):
                    break
        progress(f"warm: {self.number('row_cache_rows'):,} rows cached, {evicted:,} evicted")

    # loading

    def is_loaded(self):
        """False: there is nothing. Anything else than these rows ends the script."""
        if self.parameters_path.exists():
            if json.loads(self.parameters_path.read_text()) == self.parameters:
                return True
            sys.exit(f"{self.parameters_path} says that other rows are there; remove them")
        if any(self.directory.iterdir()):
            sys.exit(f"{self.directory} holds what was not loaded to its end; remove it")
        return False

    def load(self):
        self.start("load")
        result = self.measure("load", clients=8, pipeline=50)
        result["settle_s"] = self.wait_until_settled()
        for name in ("flush_bytes_written", "compaction_bytes_written", "wal_bytes", "write_waits",
                     "longest_write_wait_us"):
            result[name] = self.number(name)
        client = self.server.client()
        keys = client.call("DBSIZE")
        client.close()
        if keys != self.count:
            odd(f"DBSIZE is {keys} after {self.count} rows were loaded")
        self.stop()
        self.parameters_path.write_text(json.dumps(self.parameters))
        return result

    def wait_until_settled(self):
        """Until nothing is left to flush, compact or settle, and nothing changed for so long that
        what is done when nobody writes is done too."""
        started = since = time.monotonic()
        last = None
        while time.monotonic() - since < SETTLED_S:
            info = self.server.info("engine")
            now = [info[name] for name in ("flushes", "compactions", "compaction_bytes_written",
                                           "table_bytes")]
            left = [int(info[name]) for name in ("compaction_debt", "sealed_memtables",
                                                 "settling_pending", "compactions_running")]
            if now != last or any(left):
                last, since = now, time.monotonic()
            time.sleep(0.5)
            if time.monotonic() - started > PATIENCE_S:
                odd(f"not settled after {PATIENCE_S} s: {info}")
                break
        return since - started
