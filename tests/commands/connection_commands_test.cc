#include <catch2/catch.hpp>
#include <string>

#include "commands/support/command_fixture.h"

namespace varve::commands::testing {
namespace {

TEST_CASE("PING, ECHO, QUIT, RESET", "[commands][connection]") {
  CommandFixture run;
  CHECK(run("PING") == "+PONG\r\n");
  CHECK(run("ping hello") == Bulk("hello"));
  CHECK(run("PING a b") == "-ERR wrong number of arguments for 'ping' command\r\n");
  CHECK(run("ECHO a") == Bulk("a"));
  CHECK(run("ECHO") == "-ERR wrong number of arguments for 'echo' command\r\n");
  run("SELECT 4");
  run("CLIENT SETNAME me");
  run("HELLO 3");
  CHECK(run("RESET") == "+RESET\r\n");
  CHECK(run("CLIENT GETNAME") == "$-1\r\n");
  CHECK(run.client.db == 0);
  CHECK_FALSE(run.client.close_after_reply);
  CHECK(run("QUIT") == "+OK\r\n");
  CHECK(run.client.close_after_reply);
}

TEST_CASE("SELECT takes 0 to 15", "[commands][connection]") {
  CommandFixture run;
  CHECK(run("SELECT 15") == "+OK\r\n");
  CHECK(run.client.db == 15);
  CHECK(run("SELECT 16") == "-ERR DB index is out of range\r\n");
  CHECK(run("SELECT -1") == "-ERR DB index is out of range\r\n");
  CHECK(run("SELECT a") == "-ERR value is not an integer or out of range\r\n");
  CHECK(run("SELECT 4294967296") ==
        "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n");
  CHECK(run.client.db == 15);
}

TEST_CASE("HELLO: both protocols, options, errors", "[commands][connection]") {
  CommandFixture run;
  const std::string fields = Bulk("server") + Bulk("redis") + Bulk("version") + Bulk("7.0.15");
  const std::string rest = Bulk("id") + ":1\r\n" + Bulk("mode") + Bulk("standalone") +
                           Bulk("role") + Bulk("master") + Bulk("modules") + "*0\r\n";
  CHECK(run("HELLO") == "*14\r\n" + fields + Bulk("proto") + ":2\r\n" + rest);
  CHECK(run("HELLO 3 AUTH default any SETNAME me") ==
        "%7\r\n" + fields + Bulk("proto") + ":3\r\n" + rest);
  CHECK(run("CLIENT GETNAME") == Bulk("me"));
  CHECK(run("HELLO 4") == "-NOPROTO unsupported protocol version\r\n");
  CHECK(run("HELLO x") == "-ERR Protocol version is not an integer or out of range\r\n");
  CHECK(run("HELLO 2 AUTH default") == "-ERR Syntax error in HELLO option 'AUTH'\r\n");
  CHECK(run("HELLO 2 foo") == "-ERR Syntax error in HELLO option 'foo'\r\n");
  CHECK(run("HELLO 2 AUTH somebody x") ==
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  CHECK(run.Run({"HELLO", "2", "SETNAME", "a b"}) ==
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
  CHECK(run.client.protocol == 3);  // none of the failed ones changed it
}

TEST_CASE("CLIENT: names and libraries", "[commands][client]") {
  CommandFixture run;
  CHECK(run("CLIENT ID") == ":1\r\n");
  CHECK(run("CLIENT GETNAME") == "$-1\r\n");
  CHECK(run("CLIENT SETNAME abc") == "+OK\r\n");
  CHECK(run("client getname") == Bulk("abc"));
  CHECK(run.Run({"CLIENT", "SETNAME", "a\nb"}) ==
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
  CHECK(run("CLIENT SETINFO LIB-NAME lib") == "+OK\r\n");
  CHECK(run("CLIENT SETINFO lib-ver 1.2") == "+OK\r\n");
  CHECK(run("CLIENT SETINFO foo 1.2") == "-ERR Unrecognized option 'foo'\r\n");
  CHECK(run.Run({"CLIENT", "SETINFO", "lib-ver", "1 2"}) ==
        "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n");
  CHECK(run.client.library_name == "lib");
  CHECK(run.client.library_version == "1.2");
  CHECK(run("CLIENT NO-EVICT on") == "+OK\r\n");
  CHECK(run.client.no_evict);
  CHECK(run("CLIENT NO-EVICT x") == "-ERR syntax error\r\n");
}

TEST_CASE("CLIENT LIST and INFO: Redis's line", "[commands][client]") {
  CommandFixture run;
  run.client.name = "n";
  run.client.db = 2;
  run.client.query_bytes = 13;
  const std::string line =
      "id=1 addr=127.0.0.1:50001 laddr=127.0.0.1:6379 fd=11 name=n age=10 idle=3 flags=N db=2 "
      "sub=0 psub=0 ssub=0 multi=-1 qbuf=13 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 "
      "oll=0 omem=0 tot-mem=0 events=r cmd=client|info user=default redir=-1 resp=2 lib-name= "
      "lib-ver=\n";
  CHECK(run("CLIENT INFO") == Bulk(line));
  run.client.protocol = 3;
  CHECK(run("CLIENT LIST ID 77") == "=4\r\ntxt:\r\n");
  run.client.protocol = 2;
  const std::string both = run("CLIENT LIST");
  CHECK(both.find("\nid=1 ") != std::string::npos);
  CHECK(both.find("\nid=2 ") != std::string::npos);
  CHECK(both.find("cmd=NULL") != std::string::npos);
  CHECK(run("CLIENT LIST TYPE normal").find("id=2 ") != std::string::npos);
  CHECK(run("CLIENT LIST TYPE pubsub") == Bulk(""));
  const std::string one = run("CLIENT LIST ID 5 2");
  CHECK(one.find("id=2 ") != std::string::npos);
  CHECK(one.find("id=1 ") == std::string::npos);
  CHECK(run("CLIENT LIST TYPE foo") == "-ERR Unknown client type 'foo'\r\n");
  CHECK(run("CLIENT LIST ID a") == "-ERR Invalid client ID\r\n");
  CHECK(run("CLIENT LIST ID") == "-ERR syntax error\r\n");
  CHECK(run("CLIENT LIST x") == "-ERR syntax error\r\n");
}

TEST_CASE("CLIENT KILL: filters, and oneself last", "[commands][client]") {
  CommandFixture run;
  using Ids = std::vector<uint64_t>;
  CHECK(run("CLIENT KILL 1.2.3.4:5") == "-ERR No such client\r\n");
  CHECK(run("CLIENT KILL ID 99") == ":0\r\n");
  CHECK(run.host.killed.empty());
  CHECK(run("CLIENT KILL 127.0.0.1:50002") == "+OK\r\n");
  CHECK(run("CLIENT KILL ID 2") == ":1\r\n");
  CHECK(run("CLIENT KILL ADDR 127.0.0.1:50002 LADDR 127.0.0.1:6379") == ":1\r\n");
  CHECK(run("CLIENT KILL TYPE normal") == ":1\r\n");
  CHECK(run("CLIENT KILL USER default MAXAGE 15") == ":1\r\n");
  CHECK(run.host.killed == Ids{2, 2, 2, 2, 2});
  CHECK(run("CLIENT KILL MAXAGE 21") == ":0\r\n");
  CHECK(run("CLIENT KILL TYPE pubsub") == ":0\r\n");
  CHECK(run("CLIENT KILL ID 1") == ":0\r\n");  // SKIPME is yes
  CHECK_FALSE(run.client.close_after_reply);
  CHECK(run("CLIENT KILL ID 1 SKIPME no") == ":1\r\n");
  CHECK(run.client.close_after_reply);
  CHECK(run.host.killed.size() == 5);
}

TEST_CASE("CLIENT KILL: wrong options", "[commands][client]") {
  CommandFixture run;
  CHECK(run("CLIENT KILL ID 0") == "-ERR client-id should be greater than 0\r\n");
  CHECK(run("CLIENT KILL ID x") == "-ERR client-id should be greater than 0\r\n");
  CHECK(run("CLIENT KILL TYPE foo") == "-ERR Unknown client type 'foo'\r\n");
  CHECK(run("CLIENT KILL USER foo") == "-ERR No such user 'foo'\r\n");
  CHECK(run("CLIENT KILL SKIPME foo") == "-ERR syntax error\r\n");
  CHECK(run("CLIENT KILL FOO bar") == "-ERR syntax error\r\n");
  CHECK(run("CLIENT KILL ID 2 ADDR") == "-ERR syntax error\r\n");
  CHECK(run.host.killed.empty());
}

TEST_CASE("CLIENT REPLY: ON, OFF and SKIP", "[commands][client]") {
  CommandFixture run;
  CHECK(run("CLIENT REPLY SKIP").empty());
  CHECK(run("PING").empty());
  CHECK(run("PING") == "+PONG\r\n");
  CHECK(run("CLIENT REPLY OFF").empty());
  CHECK(run("PING").empty());
  CHECK(run("nosuch").empty());
  CHECK(run("CLIENT REPLY SKIP").empty());
  CHECK(run("PING").empty());
  CHECK(run("PING").empty());
  CHECK(run("CLIENT REPLY ON") == "+OK\r\n");
  CHECK(run("PING") == "+PONG\r\n");
  CHECK(run("CLIENT REPLY SKIP").empty());
  CHECK(run("CLIENT REPLY SKIP").empty());
  CHECK(run("PING").empty());
  CHECK(run("PING") == "+PONG\r\n");
  CHECK(run("CLIENT REPLY SKIP").empty());
  CHECK(run("CLIENT REPLY ON") == "+OK\r\n");
  CHECK(run("CLIENT REPLY foo") == "-ERR syntax error\r\n");
}

TEST_CASE("CLIENT REPLY SKIP outlasts a wait for a row", "[commands][client][fault]") {
  CommandFixture run;
  for (int index = 0; index < 3000; ++index) {
    run.Run({"SET", "key:" + std::to_string(index), std::string(100, 'v')});
    run.machine.scheduler.RunReady();
  }
  bool waited = false;
  for (int index = 0; index < 3000 && !waited; ++index) {
    const int waits = run.waits;
    REQUIRE(run("CLIENT REPLY SKIP").empty());
    REQUIRE(run("GET key:" + std::to_string(index)).empty());
    waited = run.waits > waits;
    REQUIRE(run("PING") == "+PONG\r\n");
  }
  CHECK(waited);
}

}  // namespace
}  // namespace varve::commands::testing
