#include "commands/client_line.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "commands/command.h"

namespace varve::commands {
namespace {

uint64_t SecondsSince(uint64_t then_us, uint64_t now_us) {
  return now_us > then_us ? (now_us - then_us) / 1000000 : 0;  // clocks may step back
}

std::string Flags(const Client& client) {
  std::string flags;
  if (client.close_after_reply) flags += 'c';
  if (client.unix_socket) flags += 'U';
  if (client.no_evict) flags += 'e';
  return flags.empty() ? "N" : flags;
}

}  // namespace

void AppendClientLine(const Client& client, uint64_t now_us, std::string& out) {
  auto append = std::back_inserter(out);
  fmt::format_to(append, "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={}",
                 client.id, client.address, client.local_address, client.fd, client.name,
                 SecondsSince(client.created_us, now_us), SecondsSince(client.last_used_us, now_us),
                 Flags(client), client.db);
  fmt::format_to(append, " sub=0 psub=0 ssub=0 multi=-1 qbuf={} qbuf-free={} argv-mem={}",
                 client.query_bytes, client.query_free_bytes, client.argument_bytes);
  fmt::format_to(append, " multi-mem=0 rbs=0 rbp=0 obl=0 oll={} omem={} tot-mem={} events={}",
                 client.output_bytes == 0 ? 0 : 1, client.output_bytes, client.memory_bytes,
                 client.output_bytes == 0 ? "r" : "rw");
  fmt::format_to(append, " cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={}\n",
                 client.last_command == nullptr ? "NULL" : client.last_command->name,
                 client.protocol, client.library_name, client.library_version);
}

}  // namespace varve::commands
