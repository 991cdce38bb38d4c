// Starting and stopping the real program: options, files, signals.

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "server/support/redis_client.h"
#include "server/support/server_process.h"

namespace varve::server::test {
namespace {

TEST_CASE("Start: --help and --version answer and end", "[server][start]") {
  const Outcome help = RunToEnd(VARVE_SERVER, {"--help"});
  CHECK(help.exit_code == 0);
  CHECK_THAT(help.output, Catch::Contains("--write-buffer-size 64mb"));
  const Outcome version = RunToEnd(VARVE_SERVER, {"--version"});
  CHECK(version.exit_code == 0);
  CHECK_THAT(version.output, Catch::StartsWith("Varve server v="));
}

TEST_CASE("Start: a wrong option is refused by name and place", "[server][start]") {
  const TempDir dir;
  const std::string file = dir.path() + "/bad.conf";
  std::ofstream(file) << "port 0\n\nappendfsync maybe\n";
  const Outcome in_file = RunToEnd(VARVE_SERVER, {file});
  CHECK(in_file.exit_code == 1);
  CHECK_THAT(in_file.output, Catch::Contains("FATAL CONFIG FILE ERROR"));
  CHECK_THAT(in_file.output, Catch::Contains(file + ", at line 3"));
  CHECK_THAT(in_file.output, Catch::Contains(">>> 'appendfsync maybe'"));

  const Outcome on_line = RunToEnd(VARVE_SERVER, {"--port", "0", "--appendfsnc", "no"});
  CHECK(on_line.exit_code == 1);
  CHECK_THAT(on_line.output, Catch::Contains("the command line"));
  CHECK_THAT(on_line.output, Catch::Contains("no option 'appendfsnc'"));

  CHECK(RunToEnd(VARVE_SERVER, {"/no/such.conf"}).exit_code == 1);
  CHECK(RunToEnd(VARVE_SERVER, {"--port", "0", "--dir", dir.path()}).exit_code == 1);
}

TEST_CASE("Start: a file, then options that win over it", "[server][start]") {
  const TempDir dir;
  const std::string file = dir.path() + "/server.conf";
  const int port = FreePort();
  std::ofstream(file) << "port 1\nmaxclients 123\ntimeout 77\ndir " << dir.path() << "/data\n"
                      << "pidfile " << dir.path() << "/pid\nlogfile " << dir.path() << "/log\n";
  Process server(VARVE_SERVER, {file, "--port", std::to_string(port), "--timeout", "88"},
                 dir.path() + "/output");
  REQUIRE(WaitFor([&] {
    return ReadFile(dir.path() + "/log").find("Ready to accept connections") != std::string::npos;
  }));
  RedisClient client(port);
  CHECK(client.Call({"CONFIG", "GET", "maxclients"}).elements.at(1).text == "123");
  CHECK(client.Call({"CONFIG", "GET", "timeout"}).elements.at(1).text == "88");
  CHECK(ReadFile(dir.path() + "/pid") == std::to_string(server.pid()) + "\n");
  CHECK_THAT(ReadFile(dir.path() + "/log"), Catch::Contains("pid=" + std::to_string(server.pid())));
  server.Signal(SIGTERM);
  CHECK(server.WaitForExit() == 0);
  CHECK(ReadFile(dir.path() + "/pid").empty());
}

TEST_CASE("Start: a port or directory in use is refused with a clear text", "[server][start]") {
  const TempDir first_dir;
  const TempDir second_dir;
  ServerProcess server(VARVE_SERVER, first_dir.path());
  const Outcome same_port =
      RunToEnd(VARVE_SERVER, {"--port", std::to_string(server.port()), "--dir", second_dir.path()});
  CHECK(same_port.exit_code == 1);
  CHECK_THAT(same_port.output, Catch::Contains("Address already in use"));
  const Outcome same_dir =
      RunToEnd(VARVE_SERVER, {"--port", std::to_string(FreePort()), "--dir", first_dir.path()});
  CHECK(same_dir.exit_code == 1);
  CHECK_THAT(same_dir.output, Catch::Contains(first_dir.path()));
  CHECK(RedisClient(server.port()).Call({"PING"}).text == "PONG");
}

TEST_CASE("Stop: signals and SHUTDOWN end it cleanly, a restart keeps the data",
          "[server][start]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  int generation = 0;
  const auto write = [&] {
    RedisClient client(server.port());
    for (int i = 0; i < generation; ++i) {
      CHECK(client.Call({"GET", "key" + std::to_string(i)}).text == std::to_string(i));
    }
    CHECK(client.Call({"DBSIZE"}).integer == generation);
    const std::string value = std::to_string(generation);
    CHECK(client.Call({"SET", "key" + value, value}).text == "OK");
    ++generation;
  };
  for (const int signal : {SIGTERM, SIGINT}) {
    CAPTURE(signal);
    write();
    const RedisClient idle(server.port());  // must not hold the stop up
    server.process().Signal(signal);
    CHECK(server.process().WaitForExit() == 0);
    CHECK_THAT(server.log(), Catch::Contains("ready to exit"));
    server.Start();
  }
  for (const std::string how : {"NOSAVE", "SAVE"}) {
    CAPTURE(how);
    write();
    RedisClient client(server.port());
    CHECK_THROWS_AS(client.Call({"SHUTDOWN", how}), ConnectionLost);
    CHECK(server.process().WaitForExit() == 0);
    server.Start();
  }
  write();
  server.Restart();  // and kill -9
  write();
}

TEST_CASE("Unix socket: served with its permissions, and removed at the end", "[server][start]") {
  const TempDir dir;
  const std::string path = dir.path() + "/socket";
  ServerProcess server(VARVE_SERVER, dir.path(), {"--unixsocket", path, "--unixsocketperm", "700"});
  // The TCP port, which ServerProcess waits for, is there before the socket has its permissions.
  REQUIRE(WaitFor([&] { return server.log().find("Ready to accept") != std::string::npos; }));
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  RedisClient client(path);
  CHECK(client.Call({"SET", "a", "1"}).text == "OK");
  CHECK(RedisClient(server.port()).Call({"GET", "a"}).text == "1");
  CHECK_THAT(client.Call({"CLIENT", "LIST"}).text, Catch::Contains("addr=" + path + ":0"));
  CHECK(server.Stop() == 0);
  CHECK(access(path.c_str(), F_OK) != 0);
}

TEST_CASE("CONFIG SET: takes effect, errors are Redis's", "[server][start]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  RedisClient client(server.port());
  CHECK(client.Call({"CONFIG", "SET", "timeout", "60", "maxmemory", "100mb"}).text == "OK");
  CHECK(client.Call({"CONFIG", "GET", "max*ory"}).elements.at(1).text == "104857600");
  CHECK(client.Call({"CONFIG", "SET", "port", "1"}).text ==
        "ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config");
  CHECK(client.Call({"CONFIG", "SET", "timeout", "x"}).text ==
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be "
        "parsed into an integer");
  CHECK(client.Call({"CONFIG", "SET", "nope", "1"}).text ==
        "ERR Unknown option or number of arguments for CONFIG SET - 'nope'");
  CHECK(client.Call({"CONFIG", "GET", "timeout"}).elements.at(1).text == "60");
  CHECK(client.Call({"CONFIG", "SET", "appendfsync", "always"}).text == "OK");
  CHECK(client.Call({"SET", "a", "b"}).text == "OK");
}

TEST_CASE("Open files: maxclients is lowered to what the limit allows, and can't be raised over it",
          "[server][start]") {
  const TempDir dir;
  const int port = FreePort();
  const std::string command = "ulimit -n 3000; exec " VARVE_SERVER " --port " +
                              std::to_string(port) + " --dir " + dir.path();
  Process server("/bin/sh", {"-c", command}, dir.path() + "/output");
  REQUIRE(WaitFor([&] { return server.output().find("Ready to accept") != std::string::npos; }));
  CHECK_THAT(server.output(), Catch::Contains("You requested maxclients of 10000"));
  RedisClient client(port);
  CHECK(client.Call({"CONFIG", "GET", "maxclients"}).elements.at(1).text == "1976");
  CHECK_THAT(client.Call({"CONFIG", "SET", "maxclients", "1977"}).text,
             Catch::Contains("not able to handle the specified number of clients, try with 1976"));
  CHECK(client.Call({"CONFIG", "SET", "maxclients", "1000"}).text == "OK");
}

}  // namespace
}  // namespace varve::server::test
