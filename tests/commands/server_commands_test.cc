#include <catch2/catch.hpp>
#include <string>

#include "commands/support/command_fixture.h"

namespace varve::commands::testing {
namespace {

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("Dispatch: unknown commands and wrong arity have Redis's texts", "[commands][dispatch]") {
  CommandFixture run;
  CHECK(run("foo") == "-ERR unknown command 'foo', with args beginning with: \r\n");
  CHECK(run("foo a b") == "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n");
  CHECK(run.Run({"foo", "a\r\nb"}) ==
        "-ERR unknown command 'foo', with args beginning with: 'a  b' \r\n");
  CHECK(run.Run({std::string(300, 'x'), std::string(300, 'y'), "a"}) ==
        "-ERR unknown command '" + std::string(128, 'x') + "', with args beginning with: '" +
            std::string(128, 'y') + "' \r\n");
  CHECK(run("GET") == "-ERR wrong number of arguments for 'get' command\r\n");
  CHECK(run("GET a b") == "-ERR wrong number of arguments for 'get' command\r\n");
  CHECK(run("CLIENT") == "-ERR wrong number of arguments for 'client' command\r\n");
  CHECK(run("CLIENT ID x") == "-ERR wrong number of arguments for 'client|id' command\r\n");
  CHECK(run("CLIENT foo") == "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n");
  CHECK(run("config FOO") == "-ERR unknown subcommand 'FOO'. Try CONFIG HELP.\r\n");
}

TEST_CASE("Dispatch: calls, rejections and failures are counted", "[commands][dispatch]") {
  CommandFixture run;
  for (int call = 0; call < 100; ++call) run("GET a");
  run("GET");
  run("SELECT 99");
  run("nosuch");
  run("HELLO 9");
  const std::string stats = run("INFO commandstats");
  CHECK(Contains(stats,
                 "# Commandstats\r\ncmdstat_get:calls=100,usec=100,usec_per_call=1.00,"
                 "rejected_calls=1,failed_calls=0\r\n"));
  CHECK(Contains(stats,
                 "cmdstat_select:calls=1,usec=1,usec_per_call=1.00,rejected_calls=0,"
                 "failed_calls=1\r\n"));
  CHECK(run("INFO errorstats") ==
        Bulk("# Errorstats\r\nerrorstat_ERR:count=3\r\nerrorstat_NOPROTO:count=1\r\n"));
  CHECK(Contains(run("INFO stats"), "total_error_replies:4\r\n"));
  CHECK(Contains(run("INFO stats"), "keyspace_misses:100\r\n"));
  CHECK(run("CONFIG RESETSTAT") == "+OK\r\n");
  CHECK(run.host.resets == 1);
  CHECK(run("INFO errorstats") == Bulk("# Errorstats\r\n"));
  CHECK_FALSE(Contains(run("INFO commandstats"), "cmdstat_get"));
}

TEST_CASE("Dispatch: writes that the engine refuses say so, reads go on", "[commands][dispatch]") {
  CommandFixture run;
  run("SET a 1");
  REQUIRE(run.engine->Close().has_value());
  const std::string refused = run("SET a 2");
  CHECK(refused.starts_with("-MISCONF Write refused: "));
  CHECK(run("PING") == "+PONG\r\n");
}

TEST_CASE("CONFIG GET: patterns", "[commands][config]") {
  CommandFixture run;
  CHECK(run("CONFIG GET save") == "*2\r\n" + Bulk("save") + Bulk(""));
  CHECK(run("CONFIG GET nosuch") == "*0\r\n");
  CHECK(run("CONFIG GET MAX* maxmemory") ==
        "*4\r\n" + Bulk("maxclients") + Bulk("10000") + Bulk("maxmemory") + Bulk("0"));
  run.client.protocol = 3;
  CHECK(run("CONFIG GET save") == "%1\r\n" + Bulk("save") + Bulk(""));
  CHECK(run("CONFIG GET") == "-ERR wrong number of arguments for 'config|get' command\r\n");
}

TEST_CASE("CONFIG SET: all or nothing", "[commands][config]") {
  CommandFixture run;
  CHECK(run("CONFIG SET MaxMemory 5 maxclients 7") == "+OK\r\n");
  CHECK(run.host.config["maxmemory"] == "5");
  CHECK(run.host.config["maxclients"] == "7");
  CHECK(run("CONFIG SET maxclients 8 maxmemory refused") ==
        "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a "
        "memory value\r\n");
  CHECK(run("CONFIG SET maxclients 8 FOO 1") ==
        "-ERR Unknown option or number of arguments for CONFIG SET - 'FOO'\r\n");
  CHECK(run("CONFIG SET maxclients 8 maxclients 9") ==
        "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - duplicate "
        "parameter\r\n");
  CHECK(run("CONFIG SET maxclients 8 maxmemory") == "-ERR syntax error\r\n");
  CHECK(run("CONFIG SET maxclients") ==
        "-ERR wrong number of arguments for 'config|set' command\r\n");
  CHECK(run.host.config["maxclients"] == "7");
}

TEST_CASE("INFO: sections by name", "[commands][info]") {
  CommandFixture run;
  run.host.figures.version = "1.2.3";
  run("SET a 1");
  run("SELECT 5");
  run("MSET a 1 b 2");
  CHECK(run("INFO nosuch") == Bulk(""));
  CHECK(run("INFO keyspace") == Bulk("# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n"
                                     "db5:keys=2,expires=0,avg_ttl=0\r\n"));
  CHECK(run("INFO Cluster modules cluster") ==
        Bulk("# Modules\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n"));
  const std::string usual = run("INFO");
  CHECK(Contains(usual, "# Server\r\nredis_version:7.0.15\r\nvarve_version:1.2.3\r\n"));
  CHECK(Contains(usual, "\r\n\r\n# Engine\r\n"));
  CHECK_FALSE(Contains(usual, "# Commandstats"));
  CHECK(Contains(run("INFO all"), "# Commandstats"));
  CHECK(Contains(run("INFO everything"), "# Commandstats"));
  run.client.protocol = 3;
  CHECK(run("INFO cluster") == "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n");
}

TEST_CASE("TIME is the host's", "[commands][server]") {
  CommandFixture run;
  CHECK(run("TIME") == "*2\r\n" + Bulk("1700000000") + Bulk("123456"));
}

TEST_CASE("SHUTDOWN: asks the host, without a reply", "[commands][server]") {
  CommandFixture run;
  CHECK(run("SHUTDOWN ABORT") == "-ERR No shutdown in progress.\r\n");
  for (const char* line : {"SHUTDOWN foo", "SHUTDOWN SAVE NOSAVE", "SHUTDOWN ABORT NOW"}) {
    CHECK(run(line) == "-ERR syntax error\r\n");
  }
  CHECK_FALSE(run.host.shutdown.has_value());
  CHECK(run("SHUTDOWN NOSAVE now FORCE").empty());
  REQUIRE(run.host.shutdown.has_value());
  CHECK(run.host.shutdown->now);
  CHECK(run.host.shutdown->force);
  CHECK(run.client.close_after_reply);
  CHECK(run("SHUTDOWN ABORT") == "+OK\r\n");
}

TEST_CASE("DEBUG: only where allowed; SLEEP holds nobody up", "[commands][server]") {
  CommandFixture run;
  CHECK(run("DEBUG SLEEP 1.5") == "+OK\r\n");
  CHECK(run.paused_us == 1'500'000);
  CHECK(run.yields == 1);
  CHECK(run("DEBUG SLEEP abc") == "+OK\r\n");
  CHECK(run("DEBUG SLEEP -1") == "+OK\r\n");
  CHECK(run("DEBUG SLEEP nan") == "+OK\r\n");
  CHECK(run.paused_us == 1'500'000);
  const std::string unknown =
      "-ERR unknown subcommand or wrong number of arguments for 'foo'. Try DEBUG HELP.\r\n";
  CHECK(run("DEBUG foo") == unknown);
  CHECK(run("DEBUG foo a b") == unknown);
  run.host.debug_allowed = false;
  CHECK(run("DEBUG SLEEP 1").starts_with("-ERR DEBUG command not allowed."));
}

TEST_CASE("COMMAND: counts, lists, finds keys", "[commands][introspection]") {
  CommandFixture run;
  CHECK(run("COMMAND LIST FILTERBY PATTERN *get") ==
        "*3\r\n" + Bulk("get") + Bulk("mget") + Bulk("config|get"));
  CHECK(run("COMMAND LIST FILTERBY ACLCAT string") ==
        "*4\r\n" + Bulk("get") + Bulk("set") + Bulk("mget") + Bulk("mset"));
  CHECK(run("COMMAND LIST FILTERBY ACLCAT nosuch") == "*0\r\n");
  CHECK(run("COMMAND LIST FILTERBY MODULE x") == "*0\r\n");
  CHECK(run("COMMAND LIST foo") == "-ERR syntax error\r\n");
  CHECK(run("COMMAND LIST FILTERBY foo bar") == "-ERR syntax error\r\n");
  CHECK(run("COMMAND GETKEYS mset a b c d") == "*2\r\n" + Bulk("a") + Bulk("c"));
  CHECK(run("COMMAND GETKEYS get a b") ==
        "-ERR Invalid number of arguments specified for command\r\n");
  CHECK(run("COMMAND GETKEYS ping a") == "-ERR The command has no key arguments\r\n");
  CHECK(run("COMMAND GETKEYS foo bar") == "-ERR Invalid command specified\r\n");
  CHECK(run("COMMAND GETKEYSANDFLAGS set a b") ==
        "*1\r\n*2\r\n" + Bulk("a") + "*2\r\n+OW\r\n+update\r\n");
  CHECK(run("COMMAND GETKEYSANDFLAGS set a b get") ==
        "*1\r\n*2\r\n" + Bulk("a") + "*3\r\n+RW\r\n+access\r\n+update\r\n");
  const std::string count = run("COMMAND COUNT");
  CHECK(run("COMMAND").starts_with("*" + count.substr(1)));
  CHECK(run("COMMAND INFO").starts_with("*" + count.substr(1)));
  CHECK(run("COMMAND INFO nosuch") == "*1\r\n$-1\r\n");
  CHECK(run("COMMAND DOCS nosuch") == "*0\r\n");
}

}  // namespace
}  // namespace varve::commands::testing
