"""Starts and stops the servers that scripts/bench, bench-data and bench-cold measure, and speaks
RESP2 to them; only the standard library. Servers listen on loopback, on a free port, in a new
directory."""
import os
import pathlib
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VARVE = ROOT / "build" / "release" / "varve-server"


class Client:
    """One blocking connection; replies as int, bytes, None, list or ReplyError."""

    def __init__(self, port, timeout=600):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def send(self, *commands):
        self.socket.sendall(b"".join(encode(command) for command in commands))

    def call(self, *command):
        self.send(command)
        reply = self.read()
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def read(self):
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("connection closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ReplyError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == b"-1":
                return None
            return self.reader.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        raise ConnectionError(f"unexpected reply {line!r}")

    def close(self):
        self.reader.close()
        self.socket.close()


class ReplyError(Exception):
    pass


def encode(command):
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        if not isinstance(argument, bytes):
            argument = str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
    return b"".join(parts)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server process in a directory of its own, removed by close(), or in a given one that stays.
    `binary` is another program than the one built here; `enter` runs in the new process first."""

    def __init__(self, name, options, parent=None, directory=None, binary=None, enter=None):
        self.name, self.options, self.enter = name, options, enter
        self.binary = binary or (str(VARVE) if name == "varve" else "redis-server")
        self.lasting = directory is not None
        self.directory = directory or tempfile.mkdtemp(prefix=f"bench-{name}-", dir=parent)
        self.process, self.port = None, None
        self.log_path = os.path.join(self.directory, "server.log")

    def command_line(self):
        return [self.binary, "--port", str(self.port), "--bind", "127.0.0.1",
                "--dir", self.directory] + self.options

    def start(self, timeout_s=120):
        """Returns the seconds until the first PONG."""
        self.port = free_port()
        started = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command_line(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, preexec_fn=self.enter)
        while time.monotonic() - started < timeout_s:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at its start:\n{self.log()[-2000:]}")
            try:
                client = Client(self.port)
                reply = client.call("PING")
                client.close()
                if reply == b"PONG":
                    return time.monotonic() - started
            except (OSError, ReplyError):  # not listening yet, or Redis's LOADING
                pass
            time.sleep(0.005)
        raise RuntimeError(f"{self.name} does not answer")

    def client(self, **options):
        return Client(self.port, **options)

    def info(self, *section):
        client = self.client()
        text = client.call("INFO", *section).decode()
        client.close()
        pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
        return dict(pairs)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout_s=60):
        """SIGTERM; returns the exit code, killing it after `timeout_s`."""
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"{self.name} does not stop:\n{self.log()[-2000:]}") from None

    def resident_kb(self, field="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        return 0

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")

    def close(self):
        try:
            self.stop()
        finally:
            if not self.lasting:
                shutil.rmtree(self.directory, ignore_errors=True)


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def machine_lines():
    """What a figure is worth nothing without."""
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), platform.machine())
    memory_kb = int(next(line.split()[1] for line in open("/proc/meminfo")))
    system = next((line.split("=", 1)[1].strip().strip('"') for line in open("/etc/os-release")
                   if line.startswith("PRETTY_NAME")), platform.system())
    commit = output_of("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    dirty = "+" if output_of("git", "-C", str(ROOT), "status", "--porcelain", "src") else ""
    return [f"machine: {os.cpu_count()} cores of {cpu}, {memory_kb / 2**20:.0f} GiB, {system}, "
            f"Linux {platform.release()}",
            f"varve: commit {commit}{dirty}; {output_of('g++', '--version').splitlines()[0]}",
            f"redis: {output_of('redis-server', '--version')[:60]}"]
