#include "server/config.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "server/config_source.h"
#include "server/options.h"
#include "server/support/server_process.h"

namespace varve::server {
namespace {

constexpr Machine kMachine = {.cores = 4, .memory_bytes = 8ull << 30};

engine::Result<Settings> LoadText(const std::string& text) {
  TRY_ASSIGN(const std::vector<Directive> directives, ReadConfigText(text, "test.conf"));
  Config config(kMachine);
  TRY(config.Load(directives));
  return config.settings();
}

std::string ErrorOf(const std::string& text) {
  const auto settings = LoadText(text);
  return settings ? "no error" : settings.error().context;
}

TEST_CASE("Config: the default file names each option and holds the defaults", "[server][config]") {
  const auto directives = ReadConfigFile(std::string(VARVE_SOURCE_DIR) + "/conf/varve.conf");
  REQUIRE(directives.has_value());
  std::set<std::string> named;
  for (const Directive& directive : *directives) named.insert(directive.name);
  for (const Option& option : Options()) {
    CAPTURE(option.name);
    CHECK(named.contains(std::string(option.name)));
  }
  Config loaded(kMachine);
  REQUIRE(loaded.Load(*directives).has_value());
  CHECK(loaded.settings() == Config(kMachine).settings());
}

TEST_CASE("Config: 0 stands for what the machine has", "[server][config]") {
  const Settings settings = Config(kMachine).settings();
  CHECK(settings.io_threads == 3);
  CHECK(settings.maxmemory == 4ull << 30);
  CHECK(Config({.cores = 64, .memory_bytes = 1}).settings().io_threads == 8);
  CHECK(Config({.cores = 1, .memory_bytes = 1}).settings().io_threads == 1);
}

TEST_CASE("Config: a file is read as redis-server reads it", "[server][config]") {
  const auto settings = LoadText(
      "# a comment\n"
      "\n"
      "  PORT 7000\r\n"
      "bind 10.0.0.1 \"::1\"\n"
      "dir '/tmp/a b'\n"
      "logfile \"/tmp/\\x41\\\"b\"\n"
      "unixsocketperm 755\n"
      "maxmemory 3gb\n"
      "client-output-buffer-limit normal 1mb 2k 10\n"
      "client-output-buffer-limit pubsub 0 0 0\n"
      "appendfsync ALWAYS\n"
      "save \"\"\n"
      "port 7001");
  REQUIRE(settings.has_value());
  CHECK(settings->port == 7001);
  CHECK(settings->bind == std::vector<std::string>{"10.0.0.1", "::1"});
  CHECK(settings->dir == "/tmp/a b");
  CHECK(settings->logfile == "/tmp/A\"b");
  CHECK(settings->unixsocketperm == 0755);
  CHECK(settings->maxmemory == 3ull << 30);
  CHECK(settings->client_output_buffer_limit[0] == OutputLimit{1 << 20, 2000, 10});
  CHECK(settings->client_output_buffer_limit[1] == OutputLimit{256 << 20, 64 << 20, 60});
  CHECK(settings->client_output_buffer_limit[2] == OutputLimit{});
  CHECK(settings->appendfsync == engine::SyncMode::kAlways);
}

TEST_CASE("Config: what is wrong is refused with its line and in Redis's words",
          "[server][config]") {
  const std::pair<std::string, std::string> cases[] = {
      {"prot 7000", "Varve has no option 'prot'"},
      {"port seven", "argument couldn't be parsed into an integer"},
      {"port 65536", "argument must be between 0 and 65535 inclusive"},
      {"port", "wrong number of arguments"},
      {"port 1 2", "wrong number of arguments"},
      {"port -1", "argument couldn't be parsed into an integer"},
      {"maxmemory 1xb", "argument must be a memory value"},
      {"maxmemory 99999999999999999999gb", "argument must be a memory value"},
      {"maxmemory gb", "argument must be a memory value"},
      {"appendfsync sometimes", "argument(s) must be one of the following: always, everysec, no"},
      {"unixsocketperm 9", "argument couldn't be parsed as an octal number"},
      {"unixsocketperm 1000", "argument must be between 0 and 777 inclusive"},
      {"client-output-buffer-limit normal 0 0",
       "Wrong number of arguments in buffer limit configuration."},
      {"client-output-buffer-limit odd 0 0 0",
       "Invalid client class specified in buffer limit configuration."},
      {"client-output-buffer-limit normal 0 x 0",
       "Error in hard, soft or soft_seconds setting in buffer limit configuration."},
      {"dir \"open", "Unbalanced quotes in configuration line"},
      {"dir \"a\"b", "Unbalanced quotes in configuration line"},
      {"appendonly no", "appendonly is always 'yes' here"},
      {"save 3600 1", "save is always '' here"},
      {"databases 4", "databases is always '16' here"},
      {"include /no/such/file", "can't open config file '/no/such/file'"},
      {"include a b", "include takes one path"},
  };
  for (const auto& [line, problem] : cases) {
    CAPTURE(line);
    const std::string error = ErrorOf("port 1\n\n" + line + "\n");
    CHECK_THAT(error, Catch::Contains(problem));
    if (line.starts_with("include /no")) continue;
    CHECK_THAT(error, Catch::Contains("test.conf, at line 3"));
    CHECK_THAT(error, Catch::Contains(">>> '" + line + "'"));
  }
}

TEST_CASE("Config: include reads other files in place, and not for ever", "[server][config]") {
  const test::TempDir dir;
  std::ofstream(dir.path() + "/one.conf") << "port 1\nmaxclients 11\n";
  std::ofstream(dir.path() + "/two.conf") << "timeout 2\n";
  std::ofstream(dir.path() + "/loop.conf") << "include " << dir.path() << "/loop.conf\n";
  std::ofstream(dir.path() + "/empty.conf");
  const auto settings =
      LoadText("port 9\ninclude " + dir.path() + "/[ot]*.conf\nmaxclients 12\ninclude " +
               dir.path() + "/empty.conf\n");
  REQUIRE(settings.has_value());
  CHECK(settings->port == 1);
  CHECK(settings->timeout == 2);
  CHECK(settings->maxclients == 12);
  CHECK_THAT(ErrorOf("include " + dir.path() + "/loop.conf"),
             Catch::Contains("include each other more than"));
}

TEST_CASE("Config: sizes have Redis's suffixes", "[server][config]") {
  const std::pair<std::string, uint64_t> cases[] = {
      {"0", 0},           {"17", 17},        {"5b", 5},        {"1k", 1000},
      {"1KB", 1024},      {"2m", 2'000'000}, {"2mb", 2 << 20}, {"1g", 1'000'000'000},
      {"1Gb", 1ull << 30}};
  for (const auto& [text, bytes] : cases) {
    CAPTURE(text);
    const auto parsed = ParseBytes(text);
    REQUIRE(parsed.has_value());
    CHECK(*parsed == bytes);
  }
  for (const std::string text : {"", "-1", "1.5gb", "1 kb", "1kib", "0x10"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseBytes(text).has_value());
  }
}

TEST_CASE("Command line: a file first, then options of several values", "[server][config]") {
  const std::vector<std::string> arguments = {"a.conf",    "--port", "1",      "--bind",
                                              "1.2.3.4",   "::1",    "--save", "--maxclients 5",
                                              "--logfile", "--odd",  "--SAVE"};
  const auto line = ReadCommandLine(arguments);
  REQUIRE(line.has_value());
  CHECK(line->config_file == "a.conf");
  CHECK_FALSE(line->from_stdin);
  using Words = std::vector<std::string>;
  REQUIRE(line->directives.size() == 6);
  CHECK(line->directives[0].name == "port");
  CHECK(line->directives[1].arguments == Words{"1.2.3.4", "::1"});
  CHECK(line->directives[2].arguments == Words{""});
  CHECK(line->directives[3].arguments == Words{"5"});
  CHECK(line->directives[4].arguments == Words{"--odd"});
  CHECK(line->directives[5].name == "save");
}

TEST_CASE("Command line: '-' reads standard input, other words are refused", "[server][config]") {
  const auto with_dash = [](std::vector<std::string> arguments) {
    const auto line = ReadCommandLine(arguments);
    return line.has_value() && line->from_stdin;
  };
  CHECK(with_dash({"-"}));
  CHECK(with_dash({"-", "--port", "1"}));
  CHECK(with_dash({"--port", "1", "-"}));
  CHECK_FALSE(ReadCommandLine(std::vector<std::string>{"a.conf", "b.conf"}).has_value());
  CHECK(ReadCommandLine(std::vector<std::string>{"--help"})->help);
  CHECK(ReadCommandLine(std::vector<std::string>{"--version"})->version);
}

TEST_CASE("CONFIG SET: all or nothing, and only what may change", "[server][config]") {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  Config config(kMachine);
  const Settings before = config.settings();
  const auto refusal = [&](const Pairs& pairs) {
    const auto result = config.Set(pairs);
    REQUIRE(result.has_value());
    CHECK(config.settings() == before);
    return result->name + ": " + result->reason;
  };
  CHECK(refusal({{"timeout", "5"}, {"nope", "1"}}) == "nope: ");
  CHECK(refusal({{"timeout", "5"}, {"port", "1"}}) == "port: can't set immutable config");
  CHECK(refusal({{"timeout", "5"}, {"maxclients", "x"}}) ==
        "maxclients: argument couldn't be parsed into an integer");
  CHECK_THAT(refusal({{"timeout", "5"}, {"appendonly", "no"}}),
             Catch::StartsWith("appendonly: appendonly is always 'yes' here"));
  CHECK_FALSE(config
                  .Set(Pairs{{"timeout", "5"},
                             {"save", ""},
                             {"client-output-buffer-limit", "normal 1 2 3 replica 4 5 6"},
                             {"maxmemory", "0"}})
                  .has_value());
  CHECK(config.settings().timeout == 5);
  CHECK(config.settings().maxmemory == 4ull << 30);
  const auto parameters = config.Parameters();
  CHECK(std::ranges::find(parameters, std::pair<std::string, std::string>(
                                          "client-output-buffer-limit",
                                          "normal 1 2 3 slave 4 5 6 pubsub 33554432 8388608 60")) !=
        parameters.end());
}

TEST_CASE("Memory: the least limit of the process's cgroups holds", "[server][config]") {
  const test::TempDir root;
  const auto write = [&](const std::string& path, const std::string& text) {
    std::filesystem::create_directories(
        std::filesystem::path(root.path() + "/" + path).parent_path());
    std::ofstream(root.path() + "/" + path) << text;
  };
  CHECK(CgroupMemoryBytes("0::/\n", root.path()) == UINT64_MAX);
  write("a/b/memory.max", "max\n");
  write("a/memory.max", "1000\n");
  write("memory/docker/x/memory.limit_in_bytes", "500\n");
  write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(CgroupMemoryBytes("0::/a/b\n", root.path()) == 1000);
  CHECK(CgroupMemoryBytes("3:cpu,memory:/docker/x\n1:name=systemd:/\n0::/a\n", root.path()) == 500);
  CHECK(CgroupMemoryBytes("3:memory:/docker\n", root.path()) == 9223372036854771712u);
}

}  // namespace
}  // namespace varve::server
